package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// A patient client outlasts a Redis that is away, and an impatient one says so.
func TestPatientClientBearsARestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var refused atomic.Int64
	often := make(chan struct{})
	dialer := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil && refused.Add(1) == 8 {
			close(often) // more than an impatient client tries
		}
		return c, err
	}
	open := func(o Options, patient bool) func() error {
		c, err := Open(server.URL, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if patient {
			MakePatient(c)
		}
		return func() error { return c.Set(t.Context(), "k", "v", 0).Err() }
	}
	patient, other := open(Options{Dialer: dialer}, true), open(Options{}, false)
	server.Stop()
	if err := other(); err == nil {
		t.Error("it was answered by nobody")
	}
	done := make(chan error, 1)
	go func() { done <- patient() }()
	<-often
	server.Restart()
	if err := <-done; err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// A node that another one has replaced answers READONLY, also in pipelines, transactions and
// scripts, which go-redis itself does not repeat. Nothing is done twice.
func TestPatientClientBearsAReplica(t *testing.T) {
	t.Parallel()
	server, other := redistest.Start(t), redistest.Start(t)
	admin := server.Client()
	defer admin.Close()
	host, port, _ := net.SplitHostPort(other.Addr)
	push := redis.NewScript(`return redis.call("RPUSH", KEYS[1], ARGV[1])`)
	for name, send := range map[string]func(context.Context, redis.UniversalClient, string) error{
		"command": func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.RPush(ctx, key, "a").Err()
		},
		"script": func(ctx context.Context, c redis.UniversalClient, key string) error {
			return push.Run(ctx, c, []string{key}, "a").Err()
		},
		"pipeline": func(ctx context.Context, c redis.UniversalClient, key string) error {
			p := c.Pipeline()
			first := p.Get(ctx, "nothing") // a replica answers this one
			all := []*redis.Cmd{p.Do(ctx, "rpush", key, "a"), push.Eval(ctx, p, []string{key + "2"}, "a")}
			_, _ = p.Exec(ctx)
			if !errors.Is(first.Err(), redis.Nil) {
				return fmt.Errorf("the one that was answered: %v", first.Err())
			}
			return errors.Join(all[0].Err(), all[1].Err())
		},
		"transaction": func(ctx context.Context, c redis.UniversalClient, key string) error {
			p := c.TxPipeline()
			p.RPush(ctx, key, "a")
			p.RPush(ctx, key+"2", "a")
			_, err := p.Exec(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, err := Open(server.URL, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			MakePatient(c)
			if err := c.Ping(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			if err := admin.Do(ctx, "replicaof", host, port).Err(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- send(ctx, c, name) }()
			// The command was refused; then this node becomes the master again.
			for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
				if ctx.Err() != nil {
					t.Fatal("nothing was refused")
				}
				info, err := admin.Info(ctx, "errorstats").Result()
				if err == nil && strings.Contains(info, "errorstat_READONLY") {
					break
				}
			}
			if err := errors.Join(admin.Do(ctx, "replicaof", "no", "one").Err(), admin.ConfigResetStat(ctx).Err()); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("it was given up: %v", err)
			}
			keys := []string{name}
			if name == "pipeline" || name == "transaction" {
				keys = append(keys, name+"2")
			}
			for _, key := range keys {
				if n := admin.LLen(ctx, key).Val(); n != 1 {
					t.Errorf("%s was done %d times", key, n)
				}
			}
		})
	}
}
