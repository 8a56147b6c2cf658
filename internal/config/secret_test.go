package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func write(t *testing.T, text string, mode os.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

func TestSecretsFromFiles(t *testing.T) {
	keys := write(t, someKey+"\r\n\n", 0o600)
	url := "redis://:" + password + "@127.0.0.1/0"
	redis := write(t, url+"\n", 0o600)
	s, err := load(t, nil, "HABILITA_KEYS_FILE="+keys, "REDIS_URL_FILE="+redis)
	if err != nil {
		t.Fatal(err)
	}
	if s.Keys != someKey || s.RedisURL != url || len(s.Warnings()) != 0 {
		t.Errorf("got other values, or the warnings %q", s.Warnings())
	}
	// A flag wins over both forms in the environment.
	s, err = load(t, []string{"--habilita-keys-file", keys, "--redis-url", "redis://h"}, "HABILITA_KEYS=x", "REDIS_URL_FILE="+redis)
	if err != nil {
		t.Fatal(err)
	}
	if s.Keys != someKey || s.RedisURL != "redis://h" {
		t.Error("a flag did not win")
	}
}

func TestFileThatEverybodyCanReadIsWarnedOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	path := write(t, someKey, 0o644)
	s, err := load(t, nil, "HABILITA_KEYS_FILE="+path)
	if err != nil {
		t.Fatal(err)
	}
	w := s.Warnings()
	if len(w) != 1 || !strings.Contains(w[0], "HABILITA_KEYS") || !strings.Contains(w[0], path) || strings.Contains(w[0], someKey) {
		t.Errorf("got %q", w)
	}
}

func TestFaultsOfSecrets(t *testing.T) {
	big := write(t, strings.Repeat("x", 70<<10), 0o600)
	for name, c := range map[string]struct {
		args []string
		env  []string
		want string
	}{
		"missing file":      {env: []string{"HABILITA_KEYS_FILE=/nowhere/keys"}, want: `HABILITA_KEYS_FILE "/nowhere/keys": can't be read: no such file`},
		"empty file":        {env: []string{"HABILITA_KEYS_FILE=" + write(t, "\n", 0o600)}, want: "is empty"},
		"directory":         {env: []string{"HABILITA_KEYS_FILE=" + t.TempDir()}, want: "is a directory"},
		"large file":        {env: []string{"HABILITA_KEYS_FILE=" + big}, want: "larger than 64 KiB"},
		"twice":             {env: []string{"HABILITA_KEYS=" + someKey, "HABILITA_KEYS_FILE=" + big}, want: "HABILITA_KEYS: is given twice"},
		"key as path":       {env: []string{"HABILITA_KEYS_FILE=" + someKey}, want: "HABILITA_KEYS_FILE [redacted]: can't be read"},
		"url as path":       {env: []string{"REDIS_URL_FILE=redis://:" + password + "@h"}, want: "REDIS_URL_FILE [redacted]: can't be read"},
		"password in flag":  {args: []string{"--redis-url=redis://u:" + password + "@h"}, want: "REDIS_URL [redacted] (from --redis-url): has a user or password"},
		"password in query": {args: []string{"--redis-url=redis-sentinel://h/m?sentinel_password=" + password}, want: "has a user or password"},
		"both flags":        {args: []string{"--redis-url=redis://h", "--redis-url-file=" + big}, want: "REDIS_URL: is given twice"},
		"flag's file":       {args: []string{"--redis-url-file=/nowhere/url"}, want: `REDIS_URL_FILE "/nowhere/url" (from --redis-url-file): can't be read`},
		"wrong vendor":      {env: []string{"WOLKVOX_URL=https://me:" + password + "@x.example"}, want: "WOLKVOX_URL [redacted]: want no user"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.args, c.env...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), someKey) {
				t.Errorf("the error has a secret: %v", err)
			}
		})
	}
}
