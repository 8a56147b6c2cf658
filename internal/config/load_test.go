package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"habilita/internal/config"
)

const (
	someKey  = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	password = "hunter2hunter2"
)

// load binds all flags, parses the arguments and loads; env is NAME=value.
func load(t *testing.T, args []string, env ...string) (config.Settings, error) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Bind(fs, config.All)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Load(fs, getenv(env...), config.All)
}

func getenv(env ...string) func(string) string {
	return func(name string) string {
		for _, e := range env {
			if n, v, _ := strings.Cut(e, "="); n == name {
				return v
			}
		}
		return ""
	}
}

func mustLoad(t *testing.T, args []string, env ...string) config.Settings {
	t.Helper()
	s, err := load(t, args, append(env, "HABILITA_KEYS="+someKey)...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaults(t *testing.T) {
	s := mustLoad(t, nil)
	for name, c := range map[string][2]any{
		"RedisURL":        {s.RedisURL, "redis://127.0.0.1:6379/0"},
		"Keys":            {s.Keys, someKey},
		"WolkvoxURL":      {s.WolkvoxURL, "https://wv{server}.wolkvox.com"},
		"CallTimeout":     {s.CallTimeout, time.Minute},
		"VendorTimeout":   {s.VendorTimeout, time.Minute},
		"SlotMargin":      {s.SlotMargin, 5 * time.Second},
		"Lease":           {s.Quota.Lease, 65 * time.Second},
		"Concurrency":     {s.Concurrency, 1000},
		"ServerConc":      {s.ServerConcurrency, 64},
		"Queues":          {s.Queues, 1},
		"WaitReplicas":    {s.WaitReplicas, 0},
		"TokenSlots":      {s.Quota.Slots, 2},
		"DefaultLicenses": {s.Quota.DefaultLicenses, 1},
		"Timezone":        {s.Quota.Location.String(), "America/Bogota"},
		"QuotaGuard":      {s.Quota.Guard, 3 * time.Second},
		"MaxAttempts":     {s.MaxAttempts, 12},
		"GiveUpAfter":     {s.GiveUpAfter, 24 * time.Hour},
		"Retention":       {s.Retention, 720 * time.Hour},
		"RetryMin":        {s.RetryMin, time.Second},
		"RetryMax":        {s.RetryMax, 15 * time.Minute},
		"Listen":          {s.Listen, "127.0.0.1:8080"},
		"ShutdownTimeout": {s.ShutdownTimeout, 75 * time.Second},
		"LogLevel":        {s.LogLevel, zerolog.InfoLevel},
		"LogFormat":       {s.LogFormat, ""},
		"Warnings":        {len(s.Warnings()), 0},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %v, want %v", name, c[0], c[1])
		}
	}
}

func TestFlagWinsOverVariableOverDefault(t *testing.T) {
	env := []string{"CALL_TIMEOUT=30s", "VENDOR_TIMEOUT= 90s ", "CONCURRENCY=   ", "LISTEN=off"}
	s := mustLoad(t, []string{"--call-timeout", "20s", "--slot-margin=100ms"}, env...)
	if s.CallTimeout != 20*time.Second || s.VendorTimeout != 90*time.Second || s.Concurrency != 1000 || s.Listen != "" {
		t.Errorf("got %v %v %d %q", s.CallTimeout, s.VendorTimeout, s.Concurrency, s.Listen)
	}
	if want := 90*time.Second + 100*time.Millisecond; s.Quota.Lease != want {
		t.Errorf("lease %v, want %v", s.Quota.Lease, want)
	}
	if s := mustLoad(t, nil, "CALL_TIMEOUT=70s"); s.Quota.Lease != 75*time.Second {
		t.Errorf("lease %v, want 75s", s.Quota.Lease)
	}
	if s := mustLoad(t, []string{"--quota-guard=0s"}); s.Quota.Guard != time.Millisecond {
		t.Errorf("a guard of 0 is %v, want 1ms", s.Quota.Guard)
	}
}

func TestGroups(t *testing.T) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Bind(fs, config.Logging|config.Limits)
	for name, want := range map[string]bool{"log-level": true, "token-slots": true, "redis-url": false, "listen": false} {
		if got := fs.Lookup(name) != nil; got != want {
			t.Errorf("flag %s: %v, want %v", name, got, want)
		}
	}
	// What was not loaded is not checked, is no fault, and has its default. A producer with a
	// long CALL_TIMEOUT does not care about the shut-down.
	s, err := config.Load(fs, getenv("LISTEN=nonsense", "REDIS_URL=nonsense", "CALL_TIMEOUT=2h"), config.Logging|config.Limits)
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:8080" || s.Keys != "" || s.CallTimeout != 2*time.Hour {
		t.Errorf("got %q, keys of %d bytes, %v", s.Listen, len(s.Keys), s.CallTimeout)
	}
	if _, err := config.Load(pflag.NewFlagSet("none", pflag.ContinueOnError), getenv("HABILITA_KEYS="+someKey), config.All); err != nil {
		t.Errorf("without flags: %v", err)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := load(t, []string{"--call-timeout", "60"}, "TOKEN_SLOTS=3", "LISTEN=8080", "RETRY_MIN=20m",
		"REDIS_URL=mysql://root:"+password+"@db")
	want := `6 settings are wrong:
  REDIS_URL [redacted]: the Redis URL has an unknown scheme; want redis://host:port/db, rediss://..., unix:///path, redis-sentinel://h:p,h:p/master or redis-cluster://h:p,h:p
  HABILITA_KEYS: is not set and is required: give the key that the workers use, or its file in HABILITA_KEYS_FILE; only for a new Redis make one with: enqueue keygen
  CALL_TIMEOUT "60" (from --call-timeout): want a duration, such as 500ms, 60s, 15m or 720h
  TOKEN_SLOTS "3": want a whole number from 1 to 2
  LISTEN "8080": want host:port with a port from 0 to 65535, such as 127.0.0.1:8080, or off
  RETRY_MIN "20m": want at most RETRY_MAX, which is 15m`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var e *config.Error
	if !errors.As(err, &e) || len(e.Faults) != 6 || !strings.Contains(e.Faults[2], "--call-timeout") {
		t.Errorf("got %#v", err)
	}
}

func TestSettingsPrintNoSecret(t *testing.T) {
	s := mustLoad(t, nil, "REDIS_URL=redis://:"+password+"@127.0.0.1/0")
	json, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", &s), fmt.Sprintf("%#v %q %s", s, s, s), string(json)} {
		if strings.Contains(text, password) || strings.Contains(text, someKey) || !strings.Contains(text, "[redacted]") {
			t.Errorf("prints as %q", text)
		}
	}
}
