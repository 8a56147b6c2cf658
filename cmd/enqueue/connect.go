package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/tracing"
)

const (
	// prefix begins the names of all keys in Redis.
	prefix = "habilita"
	// firstAnswer is how long Redis may take to answer first.
	firstAnswer = 4 * time.Second
)

// settings loads a command's settings, Redis's among them.
func (a *app) settings(cmd *cobra.Command, groups ...config.Group) (config.Settings, error) {
	s, err := config.Load(cmd.Flags(), a.getenv, append(groups, config.Redis)...)
	if err != nil {
		return s, err
	}
	for _, w := range s.Warnings() {
		fmt.Fprintln(a.err, "warning:", w)
	}
	return s, nil
}

// connect opens Redis and sees that it answers, so that one that is away is told at once.
// For a role other than Reader it looks at what that Redis is, too: it refuses one that
// would lose calls or lacks a right, and returns warnings of what could be better.
func connect(ctx context.Context, s config.Settings, role redisconn.Role) (redis.UniversalClient, []string, error) {
	rdb, err := redisconn.Open(s.RedisURL, redisconn.Options{ClientName: "habilita-enqueue", DialTimeout: firstAnswer})
	if err != nil {
		return nil, nil, usagef("REDIS_URL: %v", err)
	}
	limited, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	var found []redisconn.Finding
	if role == redisconn.Reader {
		err = rdb.Ping(limited).Err()
	} else {
		found, err = redisconn.Preflight(limited, rdb, role)
	}
	if err != nil {
		_ = rdb.Close()
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, fmt.Errorf("no Redis at %s: %s", redisconn.Redact(s.RedisURL), redisconn.Describe(err))
	}
	warnings, err := redisconn.Split(found)
	if err != nil {
		_ = rdb.Close()
		return nil, nil, err
	}
	if role == redisconn.Producer {
		// What a producer does may be done twice, so it bears a failover. The first questions
		// don't: a Redis that is away is told at once.
		redisconn.MakePatient(rdb)
	}
	return rdb, warnings, nil
}

// quotaSettings are the limits as package quota has them.
func quotaSettings(s config.Settings) quota.Settings {
	return quota.Settings{
		Prefix: prefix, Slots: s.TokenSlots, Lease: s.Lease(), DefaultLicenses: s.DefaultLicenses,
		Location: s.Timezone, Guard: s.QuotaGuard,
	}
}

// session is what a command that talks to Redis has. Close it.
type session struct {
	rdb redis.UniversalClient
	op  *control.Control
	set config.Settings

	tracer trace.TracerProvider // nil where nothing is traced
	flush  func()               // of the spans
}

func (s *session) close() {
	s.flush()
	_ = s.rdb.Close()
}

// open loads settings, connects and makes the operator, for a command that only reads.
func (a *app) open(cmd *cobra.Command, groups ...config.Group) (*session, error) {
	return a.openAs(cmd, redisconn.Reader, groups...)
}

// openAs is open for a role.
func (a *app) openAs(cmd *cobra.Command, role redisconn.Role, groups ...config.Group) (*session, error) {
	set, err := a.settings(cmd, groups...)
	if err != nil {
		return nil, err
	}
	rdb, warnings, err := connect(cmd.Context(), set, role)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(a.err, "warning:", w)
	}
	op, err := control.Open(rdb, prefix, quotaSettings(set))
	if err != nil {
		_ = rdb.Close()
		return nil, err
	}
	s := &session{rdb: rdb, op: op, set: set, flush: func() {}}
	if role == redisconn.Producer {
		s.tracer, s.flush, err = tracing.Start(cmd.Context(), "habilita-enqueue", tracing.CommandPatience, a.getenv, func(err error) {
			fmt.Fprintln(a.err, "warning: spans could not be sent:", err)
		})
		if err != nil {
			_ = rdb.Close()
			return nil, usagef("%v", err)
		}
	}
	return s, nil
}

// producer makes a producer on the session's Redis. Close it.
func (s *session) producer(ctx context.Context) (*engine.Producer, error) {
	return engine.NewProducer(ctx, s.rdb, engine.Options{Keys: s.set.Keys, Prefix: prefix, Quota: quotaSettings(s.set), Tracer: s.tracer})
}

// producing are the settings of the commands that enqueue.
var producing = []config.Group{config.Keys, config.Limits}
