package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"habilita/internal/vault"
)

// cancels ends a context at the first word that is written.
type cancels struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (c *cancels) Write(p []byte) (int, error) {
	c.cancel()
	return c.Buffer.Write(p)
}

// Ctrl-C ends watch, which was asked for nothing but to look: that is no failure.
func TestWatchEndedByCtrlC(t *testing.T) {
	w, err := newWorker()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	key, err := vault.GenerateKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"HABILITA_KEYS": key, "REDIS_URL": "redis://" + w.redis.Addr()}[name]
	}
	var out, errs bytes.Buffer
	rows := strings.NewReader("server,token\n1,tok-a\n")
	if status := run(t.Context(), []string{"bulk", "-", "--batch", "b"}, getenv, rows, &out, &errs); status != exitOK {
		t.Fatalf("exit %d: %s", status, &errs)
	}
	for _, args := range [][]string{{"watch", "b"}, {"watch", "b", "--json"}} {
		ctx, cancel := context.WithCancel(t.Context())
		seen := &cancels{cancel: cancel}
		errs.Reset()
		if status := run(ctx, args, getenv, rows, seen, &errs); status != exitOK || !strings.Contains(errs.String(), "stopped watching; the batch goes on") {
			t.Errorf("%v: exit %d: %s", args, status, &errs)
		}
		cancel()
	}
}
