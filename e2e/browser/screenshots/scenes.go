package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"habilita/internal/control"
	"habilita/internal/web/console/consoletest"
	"habilita/internal/web/guard"

	"habilita/internal/engine"
	"habilita/internal/schedule"
	"habilita/internal/testkit/wolkvoxtest"
)

// empty is the console of somebody who has just started.
func empty(ctx context.Context) (*consoletest.Stage, []shot, error) {
	s, err := consoletest.Open(ctx, consoletest.Options{NoWorker: true})
	return s, []shot{{"empty", "/"}, {"empty-chains", "/chains"}, {"empty-tokens", "/tokens"}, {"empty-workers", "/workers"},
		{"empty-schedules", "/schedules"}, {"empty-actions", "/actions"}, {"missing", "/nowhere"}, {"missing-batch", "/batches/nope"}}, err
}

// away is the console while Redis is away.
func away(ctx context.Context) (*consoletest.Stage, []shot, error) {
	s, err := consoletest.Open(ctx, consoletest.Options{NoWorker: true})
	if err == nil {
		s.Redis.SetError("LOADING Redis is loading the dataset in memory")
	}
	return s, []shot{{"away", "/"}}, err
}

// busy is a console with a lot going on.
func busy(ctx context.Context) (*consoletest.Stage, []shot, error) {
	s, err := consoletest.Open(ctx, consoletest.Options{
		Who: guard.Principal{Name: "ana", CanWrite: true},
		Vendor: wolkvoxtest.Options{
			Latency: 30 * time.Millisecond, Jitter: 40 * time.Millisecond,
			TokenInfo: func(token string) (wolkvoxtest.Token, bool) {
				return wolkvoxtest.Token{Licenses: 1, Bad: strings.HasPrefix(token, "bad-")}, true
			},
			Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
				switch {
				case strings.HasPrefix(r.Token, "down-"):
					return wolkvoxtest.Fault{Kind: wolkvoxtest.Status503}
				case strings.HasPrefix(r.Token, "cut-"):
					return wolkvoxtest.Fault{Kind: wolkvoxtest.ResetBefore}
				case strings.HasPrefix(r.Token, "limit-"):
					return wolkvoxtest.Fault{Kind: wolkvoxtest.TokenLimit}
				case strings.HasPrefix(r.Token, "slow-"):
					return wolkvoxtest.Fault{Delay: 500 * time.Millisecond}
				}
				return wolkvoxtest.Fault{}
			},
		},
	})
	if err != nil {
		return s, nil, err
	}
	return s, []shot{{"batches", "/"}, {"batch", "/batches/onboarding-noviembre"}, {"batch-going", "/batches/migraci%C3%B3n-norte"},
		{"batch-failed", "/batches/onboarding-noviembre?state=failed"}, {"batch-nomatch", "/batches/onboarding-noviembre?q=zzz"},
		{"batch-cancelled", "/batches/prueba"}, {"batch-putoff", "/batches/diciembre"}, {"batch-canary", "/batches/piloto"},
		{"batch-filling", "/batches/carga-grande"}, {"batch-incomplete", "/batches/migraci%C3%B3n-sur"},
		{"chains", "/chains"}, {"chains-list", "/chains?cause=bad_token"}, {"chains-batch", "/chains?batch=onboarding-noviembre"},
		{"decide-group", "/decide?do=cancel&cause=bad_token"}, {"chains-all", "/chains?show=all"}, {"tokens", "/tokens"}, {"servers", "/servers"}, {"workers", "/workers"},
		{"schedules", "/schedules"}, {"actions", "/actions"}, {"decide", "/decide?do=cancel&batch=onboarding-noviembre"}}, fill(ctx, s)
}

var (
	cities  = []string{"Bogotá", "Medellín", "Cali", "Barranquilla", "Cartagena", "Pereira", "Quito", "Lima"}
	modules = []string{"módulo voz", "módulo chat", "módulo correo", "módulo encuestas"}
)

func fill(ctx context.Context, s *consoletest.Stage) error {
	batch := func(name string, n int, token func(i int) string, o engine.BatchOptions) error {
		_, err := s.Producer.EnqueueBatch(ctx, name, func(yield func(engine.Call, error) bool) {
			for i := range n {
				c := engine.Call{Server: fmt.Sprintf("%04d", 1+i%7), Token: engine.Token(token(i)), Row: i + 2,
					Ref: "Soporte " + cities[i/4%len(cities)] + " - " + modules[i%4]}
				if !yield(c, nil) {
					return
				}
			}
		}, o)
		return err
	}
	settled := func(name string) error {
		_, err := s.Control.WaitSettled(ctx, name, time.Minute)
		return err
	}
	if err := batch("renovación-octubre", 120, func(i int) string { return fmt.Sprint("ok-", i%40) }, engine.BatchOptions{}); err != nil {
		return err
	}
	if err := settled("renovación-octubre"); err != nil {
		return err
	}
	err := batch("onboarding-noviembre", 96, func(i int) string {
		switch op := i / 4; op {
		case 2:
			return "bad-cali"
		case 5:
			return "down-pereira"
		default:
			return fmt.Sprint("ok-", op)
		}
	}, engine.BatchOptions{})
	if err != nil {
		return err
	}
	if err := settled("onboarding-noviembre"); err != nil {
		return err
	}
	for i, name := range []string{"prueba", "piloto"} {
		var canary *engine.CanaryError
		o := engine.BatchOptions{Canary: i * 2}
		if i == 0 {
			o.NotBefore = time.Now().Add(time.Hour)
		}
		err := batch(name, 24, func(n int) string { return fmt.Sprint("bad-", name, n/6) }, o)
		if err != nil && !errors.As(err, &canary) {
			return err
		}
	}
	if _, err := s.Control.Cancel(ctx, control.Selection{Batch: "prueba"}); err != nil {
		return err
	}
	if err := batch("diciembre", 40, func(i int) string { return fmt.Sprint("ok-", i) }, engine.BatchOptions{NotBefore: time.Now().Add(10 * time.Hour)}); err != nil {
		return err
	}
	if err := batch("ventas-sur", 60, func(i int) string { return fmt.Sprint([]string{"bad-sur", "ok-sur", "bad-este"}[i%3], i/20) }, engine.BatchOptions{}); err != nil {
		return err
	}
	if err := settled("ventas-sur"); err != nil {
		return err
	}
	if err := batch("cuota-agotada", 6, func(i int) string { return "limit-lima" }, engine.BatchOptions{}); err != nil {
		return err
	}
	if err := used(ctx, s); err != nil {
		return err
	}
	done := func(count, of int, unit string) control.Outcome {
		return control.Outcome{Ended: control.EndedDone, Count: count, Of: of, Unit: unit}
	}
	for _, e := range []control.AuditEntry{
		{Who: "carlos@laptop", Via: control.ByCLI, Action: "retry", Target: "batch renovación-octubre", Outcome: done(3, 0, control.UnitChain)},
		{Who: "provisioning", Via: control.ByAPI, Action: "cancel", Target: "batch prueba", Outcome: done(128, 0, control.UnitCall)},
		{Who: "ana", Via: control.ByConsole, Action: "skip", Target: "chain aabbccddeeffgghhiijjkkll", Outcome: done(1, 0, control.UnitChain)},
		{Who: "carlos@laptop", Via: control.ByCLI, Action: "schedule pause", Target: "schedule weekly-audit", Outcome: done(0, 0, "")},
		{Who: "carlos@laptop", Via: control.ByCLI, Action: "lift", Target: "server 0042", Outcome: done(0, 0, "")},
		{Who: "carlos@laptop", Via: control.ByCLI, Action: "enqueue", Target: "batch renovación-octubre", Outcome: done(118, 120, control.UnitRow)},
		{Who: "aprovisionamiento", Via: control.ByGo, Action: "enqueue", Target: "batch migración-norte", Outcome: control.Outcome{Ended: control.EndedFailed, Count: 12, Of: 40, Unit: control.UnitRow}},
		{Who: "carlos@laptop", Via: control.ByCLI, Action: "enqueue", Target: "call 4kzq7xw2mhd6-1c8f5e", Outcome: control.Outcome{Ended: control.EndedDone, Place: "chain aabbccddeeffgghhiijjkkll"}},
		{Who: "ana", Via: control.ByConsole, Action: "cancel", Target: "batch ventas-sur", Outcome: control.Outcome{Ended: control.EndedDone, Count: 17, Unit: control.UnitCall, Unread: 2}},
		{Who: "ana", Via: control.ByConsole, Action: "retry", Target: "cause bad_token of all held chains", Outcome: control.Outcome{Ended: control.EndedFailed, Count: 12, Unit: control.UnitChain}},
	} {
		if _, err := s.Actions.Append(ctx, e); err != nil {
			return err
		}
	}
	for _, sv := range []struct {
		name, state        string
		requests, failures int
	}{{"0042", "open", 240, 203}, {"0061", "half_open", 911, 118}, {"0001", "closed", 5210, 3}, {"0002", "closed", 4804, 0}} {
		if err := s.Server(ctx, sv.name, sv.state, sv.requests, sv.failures); err != nil {
			return err
		}
	}
	if err := someSchedules(ctx, s); err != nil {
		return err
	}
	// This file breaks off.
	broken := errors.New("the file broke off")
	_, err = s.Producer.EnqueueBatch(ctx, "migración-sur", func(yield func(engine.Call, error) bool) {
		for i := range 40 {
			if !yield(engine.Call{Server: "0003", Token: engine.Token(fmt.Sprint("ok-", i)), Ref: cities[i%len(cities)], Row: i + 2}, nil) {
				return
			}
		}
		yield(engine.Call{}, broken)
	}, engine.BatchOptions{})
	if err != nil && !errors.Is(err, broken) {
		return err
	}
	if err := filling(ctx, s, "carga-grande"); err != nil {
		return err
	}
	// This batch goes on for as long as the pictures take.
	return batch("migración-norte", 4000, func(i int) string { return fmt.Sprint("slow-", i%9) }, engine.BatchOptions{})
}

// filling starts a producer that adds calls to a batch until ctx ends. It returns when some are there.
func filling(ctx context.Context, s *consoletest.Stage, name string) error {
	ended := make(chan error, 1)
	go func() {
		_, err := s.Producer.EnqueueBatch(ctx, name, func(yield func(engine.Call, error) bool) {
			for i := range 20_000 {
				if !yield(engine.Call{Server: "0005", Token: engine.Token(fmt.Sprint("ok-", i%40)), Ref: cities[i%len(cities)], Row: i + 2}, nil) {
					return
				}
			}
			<-ctx.Done()
		}, engine.BatchOptions{})
		ended <- err
	}()
	for {
		if st, err := s.Control.Status(ctx, name); err == nil && st.Total > 0 {
			return nil
		}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// used makes some tokens have used much of their quota.
func used(ctx context.Context, s *consoletest.Stage) error {
	rows, err := s.Control.Quota(ctx)
	if err != nil {
		return err
	}
	shares := []int{1000, 934, 861, 700, 512, 340, 120}
	for _, r := range rows {
		if len(shares) == 0 {
			break
		}
		if r.Used > 0 && s.Use(r.TokenID, shares[0]) == nil {
			shares = shares[1:]
		}
	}
	return nil
}

func someSchedules(ctx context.Context, s *consoletest.Stage) error {
	for _, d := range []schedule.Definition{
		{Name: "nightly", Cron: "0 2 * * *", Timezone: "America/Bogota", Source: "operaciones.csv"},
		{Name: "weekly-audit", Cron: "30 6 * * 1", Timezone: "America/Lima", Source: "auditoria.csv"},
		{Name: "first-of-month", Cron: "0 0 1 * *", Timezone: "UTC", Source: "mensual.csv"},
	} {
		if _, err := d.Check(); err != nil {
			return err
		}
		if err := s.Schedules.Put(ctx, d, 96, "made-up", false); err != nil {
			return err
		}
	}
	if err := someRuns(ctx, s); err != nil {
		return err
	}
	_, err := s.Schedules.Pause(ctx, "weekly-audit")
	return err
}

// someRuns gives each schedule a last run: one that left rows out, one that was skipped, and one
// that failed.
func someRuns(ctx context.Context, s *consoletest.Stage) error {
	for name, result := range map[string]string{"weekly-audit": schedule.ResultSkipped, "first-of-month": schedule.ResultFailed} {
		st, err := s.Schedules.Get(ctx, name)
		if err != nil {
			return err
		}
		d := schedule.Decision{Kind: schedule.KindTick, Tick: time.Now(), Result: result, Next: st.Next}
		if _, err := s.Schedules.PassOver(ctx, st, d); err != nil {
			return err
		}
	}
	st, err := s.Schedules.Get(ctx, "nightly")
	if err != nil {
		return err
	}
	const batch = "renovación-octubre"
	c, _, err := s.Schedules.MakeClaim(ctx, st, schedule.Decision{Kind: schedule.KindTick, Tick: time.Now(), Batch: batch, Next: st.Next}, time.Minute)
	if err != nil {
		return err
	}
	return s.Schedules.Finish(ctx, st.ID, c, schedule.Run{Batch: batch, Kind: schedule.KindTick, Tick: time.Now().UnixMilli(),
		Result: schedule.ResultMade, Calls: 82, Passed: 8, Rejected: 1, Conflicts: 2, Withheld: 12})
}
