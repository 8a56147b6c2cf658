package quota_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	inner "habilita/internal/quota"
	"habilita/internal/testkit/redistest"
	"habilita/quota"
)

func open(t *testing.T, s quota.Settings) *quota.Limiter {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: redistest.Mini(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	// It is noon, whenever the test runs.
	sinceMidnight := time.Since(time.Now().UTC().Truncate(24 * time.Hour))
	s.Location = time.FixedZone("noon", int((12*time.Hour - sinceMidnight).Seconds()))
	l, err := quota.New(rdb, s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const name = "k7qm-token"

func TestGrantKnowsItsLimiter(t *testing.T) {
	l := open(t, quota.Settings{Slots: 1})
	grants := func() quota.Grant {
		t.Helper()
		g, err := l.Acquire(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	usage := func() quota.Usage {
		t.Helper()
		u, err := l.Usage(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	g := grants()
	if u := usage(); u.Held != 1 || u.Used != 1 || u.Left() != 999 {
		t.Errorf("a grant: %+v", u)
	}
	if d, err := l.Try(t.Context(), name); err != nil || d.Granted || d.Reason != quota.ReasonSlots || d.Wait() <= 0 {
		t.Errorf("one slot, two grants: %+v, %v", d, err)
	}
	if err := g.Answered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := usage(); u.Held != 0 || u.Used != 1 {
		t.Errorf("answered: %+v", u)
	}
	if err := g.Answered(t.Context()); err != nil {
		t.Errorf("answered again: %v", err)
	}
	if err := grants().NotSent(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u := usage(); u.Held != 0 || u.Used != 1 {
		t.Errorf("not sent: %+v", u)
	}
	if err := (quota.Grant{}).Answered(t.Context()); !errors.Is(err, quota.ErrGrant) {
		t.Error(err)
	}
	if err := (quota.Grant{}).NotSent(t.Context()); !errors.Is(err, quota.ErrGrant) {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	l := open(t, quota.Settings{})
	if _, err := l.Try(t.Context(), "a token, not its name"); !errors.Is(err, quota.ErrName) {
		t.Error(err)
	}
	for _, n := range []int{0, 1_000_001} {
		if err := l.SetLicenses(t.Context(), name, n); !errors.Is(err, quota.ErrLicenses) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if err := l.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := l.Acquire(t.Context(), name)
	var no *quota.NotNowError
	if !errors.As(err, &no) || no.Decision.Reason != quota.ReasonRestart || no.Decision.Wait() < time.Minute {
		t.Errorf("frozen: %v", err)
	}
	if _, err := quota.New(nil, quota.Settings{}); err == nil {
		t.Error("no client")
	}
}

func TestLazyAsksForItsLimiterBeforeEachRequest(t *testing.T) {
	real, failure, asked := open(t, quota.Settings{}), errors.New("not yet"), 0
	l := quota.Lazy(func(context.Context) (*quota.Limiter, error) {
		if asked++; asked == 1 {
			return nil, failure
		}
		return real, nil
	})
	if _, err := l.Try(t.Context(), name); !errors.Is(err, failure) {
		t.Error(err)
	}
	if d, err := l.Try(t.Context(), name); err != nil || !d.Granted || asked != 2 {
		t.Errorf("%+v, %v, asked %d times", d, err, asked)
	}
}

func TestReasonsAreThoseOfTheLimits(t *testing.T) {
	for own, theirs := range map[quota.Reason]inner.Reason{
		quota.ReasonRestart: inner.ReasonRestart, quota.ReasonClock: inner.ReasonClock, quota.ReasonMidnight: inner.ReasonMidnight,
		quota.ReasonCooling: inner.ReasonCooling, quota.ReasonQuota: inner.ReasonQuota, quota.ReasonSlots: inner.ReasonSlots,
	} {
		if string(own) != string(theirs) {
			t.Errorf("%s, %s", own, theirs)
		}
	}
}
