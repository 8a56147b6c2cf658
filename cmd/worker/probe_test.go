package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"habilita/internal/web/guard"
)

type notReady struct{}

func (notReady) Ready(context.Context) error { return errors.New("Redis does not answer") }

func TestProbe(t *testing.T) {
	site := func(r readier) string {
		g, err := guard.New(guard.Keys{}, "127.0.0.1:1", zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(serveOn(l, site{worker: r, metrics: prometheus.NewRegistry(), guard: g}.handler(), time.Minute, zerolog.Nop()))
		return l.Addr().String()
	}
	ready := site(alwaysReady{})
	_, port, _ := net.SplitHostPort(ready)
	for _, c := range []struct {
		listen string
		status int
		says   string
	}{
		{ready, exitOK, ""},
		{"0.0.0.0:" + port, exitOK, ""},
		{"[::]:" + port, exitOK, ""},
		{":" + port, exitOK, ""},
		{site(notReady{}), exitFailed, "the worker takes no calls: Redis does not answer"},
		{"127.0.0.1:1", exitFailed, "the worker takes no calls: "},
		{"off", exitUsage, "LISTEN is off"},
		{"nonsense", exitUsage, "LISTEN"},
	} {
		status, out, errs := runWorker(t.Context(), []string{"probe"}, map[string]string{"LISTEN": c.listen})
		if status != c.status || out != "" || !strings.Contains(errs, c.says) || c.says == "" && errs != "" {
			t.Errorf("%s: exit %d, want %d: %s%s", c.listen, status, c.status, out, errs)
		}
	}
}
