package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/membership"
	"habilita/internal/vault"
)

// A worker gives up the calls that it can't open. So nothing is sealed under a key that a running worker lacks.
func TestRekeyBeforeAWorkerHasTheKey(t *testing.T) {
	w, env := batchOfOne(t)
	anew, err := vault.GenerateKey("k2")
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		if name == "HABILITA_KEYS" {
			return anew + "," + env(name)
		}
		return env(name)
	}
	rdb := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	join := func(keys ...string) {
		t.Helper()
		old := membership.Process{ID: "w", Kind: membership.Worker, Host: "web-1", Keys: keys}
		if _, err := membership.New(rdb, prefix).Join(t.Context(), old, membership.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	join("k1")
	for _, args := range [][]string{{"rekey"}, {"bulk", "-", "--batch", "c"}} {
		var out, errs bytes.Buffer
		status := run(t.Context(), args, getenv, strings.NewReader("server,token\n1,tok-b\n"), &out, &errs)
		if status == exitOK || !strings.Contains(errs.String(), `HABILITA_KEYS is "k2, k1" here and "k1" there`) || !strings.Contains(errs.String(), "web-1") {
			t.Errorf("%q: exit %d: %s%s", args, status, &out, &errs)
		}
	}
	join("k1", "k2")
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"rekey"}, getenv, nil, &out, &errs); status != exitOK || !strings.Contains(out.String(), "1 token sealed anew under key k2") {
		t.Errorf("exit %d: %s%s", status, &out, &errs)
	}
}
