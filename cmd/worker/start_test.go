package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rs/zerolog"

	"habilita/internal/vault"
)

type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

// A start waits for failures that pass, and for nothing else.
func TestStartWaitsForAFailover(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, c := range map[string]struct {
		err     error
		several bool
		waits   bool
	}{
		"cluster down":                   {reply("CLUSTERDOWN The cluster is down"), true, true},
		"reads its data":                 {reply("LOADING Redis is loading the dataset in memory"), false, true},
		"lost its master":                {reply("MASTERDOWN Link with MASTER is down"), true, true},
		"node of a cluster is away":      {refused, true, true},
		"the one Redis is away":          {refused, false, false},
		"wrong password":                 {reply("WRONGPASS invalid"), true, false},
		"wrong password, wrapped":        {&redisError{reply("WRONGPASS invalid")}, true, false},
		"cluster down, told in words":    {&redisError{reply("CLUSTERDOWN")}, true, true},
		"something that has no Redis":    {errors.New("no"), true, false},
		"too late, in a cluster of many": {&redisError{context.DeadlineExceeded}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			p := startPatience{several: c.several, log: zerolog.New(&log), most: time.Hour, pause: time.Millisecond}
			tries := 0
			err := p.try(t.Context(), func() error {
				if tries++; tries == 3 {
					return nil
				}
				return c.err
			})
			if waited := err == nil && tries == 3; waited != c.waits || !c.waits && !errors.Is(err, c.err) {
				t.Errorf("%d tries, %v", tries, err)
			}
			if n := strings.Count(log.String(), "the start waits"); c.waits && n != 1 || !c.waits && n != 0 {
				t.Errorf("told %d times: %s", n, &log)
			}
		})
	}
	p := startPatience{several: true, log: zerolog.Nop(), pause: time.Millisecond}
	if err := p.try(t.Context(), func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("no patience: %v", err)
	}
}

// runWorker runs the worker with the environment given as pairs.
func runWorker(ctx context.Context, args []string, env map[string]string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = run(ctx, args, func(name string) string { return env[name] }, &o, &e)
	return status, o.String(), e.String()
}

// If a worker is told to stop while it starts, nothing is wrong.
func TestTermInTheFirstMoments(t *testing.T) {
	key, err := vault.GenerateKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	m := miniredis.RunT(t)
	env := map[string]string{"HABILITA_KEYS": key, "REDIS_URL": "redis://" + m.Addr(), "LISTEN": "off"}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if status, _, errs := runWorker(ended, nil, env); status != exitOK {
		t.Errorf("exit %d: %s", status, errs)
	}
	if status, _, errs := runWorker(ended, []string{"--check"}, env); status != exitFailed || !strings.Contains(errs, "before all was checked") {
		t.Errorf("exit %d: %s", status, errs)
	}
	env["HABILITA_KEYS"] = "k1:short"
	if status, _, _ := runWorker(ended, nil, env); status != exitUsage {
		t.Errorf("a wrong setting: exit %d", status)
	}
}

func TestUsageOfTheWorker(t *testing.T) {
	key, err := vault.GenerateKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	m := miniredis.RunT(t)
	for _, c := range []struct {
		args   []string
		keys   string
		status int
		says   string
	}{
		{[]string{"foo"}, key, exitUsage, `unknown command "foo"`},
		{[]string{"demo", "foo"}, key, exitUsage, `unknown command "foo"`},
		{[]string{"--nonsense"}, key, exitUsage, "unknown flag"},
		{[]string{}, "k1:c2hvcnQ=", exitUsage, "HABILITA_KEYS [redacted]: sealing key 1:"},
		{[]string{}, "nonsense", exitUsage, "has no colon"},
		{[]string{"--version"}, "", exitOK, "commit "},
		{[]string{"--check"}, key, exitOK, "not checked, since only a call shows it"},
		{[]string{"--check"}, key, exitOK, "clock are right\n"},
		{[]string{"--check"}, key, exitOK, "1000 requests in flight at most, 64 of them at one server, 2 of a token"},
	} {
		env := map[string]string{"HABILITA_KEYS": c.keys, "REDIS_URL": "redis://" + m.Addr(), "LISTEN": "off"}
		status, out, errs := runWorker(t.Context(), c.args, env)
		if status != c.status || !strings.Contains(out+errs, c.says) {
			t.Errorf("%v: exit %d, want %d\n%s%s", c.args, status, c.status, out, errs)
		}
	}
}
