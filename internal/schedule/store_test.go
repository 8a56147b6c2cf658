package schedule

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"habilita/internal/rows"
	"habilita/internal/testkit/redistest"
	"habilita/internal/vault"
)

const lease = time.Minute

// world is a store with what tests need of it.
type world struct {
	t *testing.T
	*Store
	keys *vault.Keys
	rdb  redis.UniversalClient
}

func both(t *testing.T, f func(t *testing.T, w *world)) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		f(t, &world{t, NewStore(b.Client, ""), key(t, "one"), b.Client})
	})
}

func key(t *testing.T, ids ...string) *vault.Keys {
	t.Helper()
	texts := make([]string, len(ids))
	for i, id := range ids {
		// A key for each id that is the same in every test.
		texts[i] = id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(id[:1]), 32))
	}
	k, err := vault.ParseKeys(strings.Join(texts, ","))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func row(i int) rows.Row {
	return rows.Row{Server: "0001", Token: fmt.Sprint("secret-token-", i), Licenses: i % 3, Chain: "c", Ref: fmt.Sprint("ref ", i), ID: "", Line: 2 * i}
}

func (w *world) fill(name string, rows int) *Writer {
	w.t.Helper()
	wr := w.NewWriter(name, w.keys)
	for i := range rows {
		if err := wr.Add(w.t.Context(), row(i)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := wr.Close(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return wr
}

func (w *world) add(d Definition, rows int, replace bool) error {
	w.t.Helper()
	wr := w.fill(d.Name, rows)
	return w.Put(w.t.Context(), d, rows, wr.Revision(), replace)
}

func (w *world) mustAdd(d Definition, rows int) State {
	w.t.Helper()
	if err := w.add(d, rows, false); err != nil {
		w.t.Fatal(err)
	}
	return w.get(d.Name)
}

func (w *world) get(name string) State {
	w.t.Helper()
	s, err := w.Get(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// due returns the decision to make a tick of a schedule.
func (w *world) due(s State) Decision {
	tick := time.UnixMilli(1_800_000_000_000)
	return Decision{Action: Make, Kind: KindTick, Tick: tick, Batch: BatchOfTick(s.Name, tick.UTC()), Next: tick.Add(time.Hour)}
}

func (w *world) claimIt(s State, lease time.Duration) Claim {
	w.t.Helper()
	c, ok, err := w.MakeClaim(w.t.Context(), s, w.due(s), lease)
	if err != nil || !ok {
		w.t.Fatalf("claim: %v, %v", ok, err)
	}
	return c
}

func (w *world) keysLike(pattern string) []string {
	return w.rdb.Keys(w.t.Context(), pattern).Val()
}

var nightly = Definition{Name: "nightly", Cron: "0 2 * * *", Timezone: "America/Bogota", Source: "ops.csv"}

func TestPutAndGet(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		if _, err := w.Get(t.Context(), "nightly"); !errors.Is(err, ErrNoSchedule) {
			t.Errorf("none: %v", err)
		}
		s := w.mustAdd(nightly, 3)
		want := nightly
		want.OnFailure, want.Missed = "hold", Once
		if s.Definition != want || s.Rows != 3 || s.Paused || s.Created.IsZero() || !s.Next.After(s.Created) || s.Last != "" {
			t.Errorf("%+v", s)
		}
		if at := s.Next.UTC(); at.Hour() != 7 || at.Minute() != 0 {
			t.Errorf("next at %v", at)
		}
		if err := w.add(nightly, 1, false); !errors.Is(err, ErrExists) {
			t.Errorf("again: %v", err)
		}
		w.mustAdd(Definition{Name: "other", Cron: "@hourly", Timezone: "UTC", OnFailure: "skip", Missed: Skip, Overlap: true, PileUp: true}, 1)
		all, now, err := w.All(t.Context())
		if err != nil || len(all) != 2 || all[0].Name != "nightly" || all[1].Name != "other" || !all[1].Overlap || !all[1].PileUp || now.IsZero() {
			t.Errorf("%+v, %v", all, err)
		}
		long := Definition{Name: "long", Cron: "@hourly", Timezone: "UTC", Source: "x" + strings.Repeat("é", 200)}
		if s := w.mustAdd(long, 1); !utf8.ValidString(s.Source) || len(s.Source) < 250 {
			t.Errorf("source %q", s.Source)
		}
		for _, bad := range []Definition{
			{Name: ".", Cron: "@daily", Timezone: "UTC"}, {Name: "..", Cron: "@daily", Timezone: "UTC"}, {Name: "-x", Cron: "@daily", Timezone: "UTC"},
			{Name: "", Cron: "@daily", Timezone: "UTC"}, {Name: "a b", Cron: "@daily", Timezone: "UTC"}, {Name: "x@y", Cron: "@daily", Timezone: "UTC"},
			{Name: strings.Repeat("x", 65), Cron: "@daily", Timezone: "UTC"}, {Name: "x", Cron: "no", Timezone: "UTC"},
			{Name: "x", Cron: "@daily", Timezone: "UTC", OnFailure: "Hold"}, {Name: "x", Cron: "@daily", Timezone: "UTC", Missed: "twice"},
		} {
			if err := w.Put(t.Context(), bad, 1, "r", false); err == nil {
				t.Errorf("taken: %+v", bad)
			}
		}
	})
}

func TestReplace(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		old := w.mustAdd(nightly, 3)
		if _, err := w.Pause(t.Context(), "nightly"); err != nil {
			t.Fatal(err)
		}
		d := nightly
		d.Cron = "0 3 * * *"
		w.must(w.add(d, 700, true))
		s := w.get("nightly")
		if s.Cron != d.Cron || s.Rows != 700 || !s.Paused || !s.Created.Equal(old.Created) || s.Revision == old.Revision {
			t.Errorf("%+v", s)
		}
		if keys := w.keysLike("*:rows:*"); len(keys) != 1 || !strings.HasSuffix(keys[0], s.Revision) {
			t.Errorf("rows: %v", keys)
		}
		// A run that is being enqueued keeps its rows until it ends.
		c := w.claimIt(s, lease)
		w.must(w.add(nightly, 2, true))
		n := 0
		for _, err := range w.Rows(t.Context(), s.ID, c.Revision, c.Rows, w.keys) {
			w.must(err)
			n++
		}
		if n != 700 {
			t.Errorf("%d rows of the run", n)
		}
		w.must(w.Finish(t.Context(), s.ID, c, Run{Result: ResultMade}))
		if keys := w.keysLike("*:rows:*"); len(keys) != 1 {
			t.Errorf("rows: %v", keys)
		}
	})
}

func TestRowsAreSealedAndStreamed(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		const n = 2*chunkRows + 7
		s := w.mustAdd(nightly, n)
		if chunks := w.rdb.HLen(t.Context(), w.rowsKey(s.ID, s.Revision)).Val(); chunks != 3 {
			t.Errorf("%d chunks", chunks)
		}
		i := 0
		for r, err := range w.Rows(t.Context(), s.ID, s.Revision, s.Rows, w.keys) {
			if err != nil || r != row(i) {
				t.Fatalf("row %d: %+v, %v", i, r, err)
			}
			i++
		}
		if i != n {
			t.Errorf("%d rows", i)
		}
		if ttl := w.rdb.PTTL(t.Context(), w.rowsKey(s.ID, s.Revision)).Val(); ttl > 0 {
			t.Errorf("the rows go after %v", ttl)
		}
		for _, key := range w.keysLike("*") {
			for field, v := range w.rdb.HGetAll(t.Context(), key).Val() {
				if strings.Contains(key+field+v, "secret-token") {
					t.Errorf("%s %s has a token in clear", key, field)
				}
			}
		}
		if text := fmt.Sprintf("%v %+v %#v %s", row(1), row(1), row(1), row(1)); strings.Contains(text, "secret") {
			t.Errorf("printed: %s", text)
		}
		// Rows that are cut short are an error, and no shorter run.
		w.rdb.HDel(t.Context(), w.rowsKey(s.ID, s.Revision), "2")
		var last error
		for _, last = range w.Rows(t.Context(), s.ID, s.Revision, s.Rows, w.keys) {
		}
		if !errors.Is(last, ErrRowsGone) {
			t.Errorf("a chunk is gone: %v", last)
		}
		// A chunk in another's place is noticed.
		sealed := w.rdb.HGet(t.Context(), w.rowsKey(s.ID, s.Revision), "1").Val()
		w.rdb.HSet(t.Context(), w.rowsKey(s.ID, s.Revision), "0", sealed)
		for _, last = range w.Rows(t.Context(), s.ID, s.Revision, s.Rows, w.keys) {
		}
		if !errors.Is(last, vault.ErrTampered) {
			t.Errorf("a chunk in another's place: %v", last)
		}
	})
}

// If no schedule was made of rows, since the process that added it died, they go by themselves.
func TestRowsOfNoScheduleGo(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		wr := w.fill("nightly", 3)
		if ttl := w.rdb.PTTL(t.Context(), w.rowsKey(ID("nightly"), wr.Revision())).Val(); ttl <= 0 || ttl > draft {
			t.Errorf("they go after %v", ttl)
		}
	})
}

func TestReseal(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		s := w.mustAdd(nightly, chunkRows+1)
		c := w.claimIt(s, lease)
		w.must(w.add(nightly, 1, true)) // the run's rows and the new ones
		both := key(t, "second", "one")
		if n, err := w.Reseal(t.Context(), both); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := w.Reseal(t.Context(), both); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		alone := key(t, "second")
		s = w.get("nightly")
		for _, rev := range []struct {
			name string
			n    int
		}{{c.Revision, chunkRows + 1}, {s.Revision, 1}} {
			n := 0
			for _, err := range w.Rows(t.Context(), s.ID, rev.name, rev.n, alone) {
				w.must(err)
				n++
			}
			if n != rev.n {
				t.Errorf("%d rows", n)
			}
		}
		if ttl := w.rdb.PTTL(t.Context(), w.rowsKey(s.ID, c.Revision)).Val(); ttl <= 0 {
			t.Error("sealing anew keeps the rows of a run for ever")
		}
	})
}

func TestPauseResumeAskRemove(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, err := range []error{
			second(w.Pause(ctx, "x")), second(w.Resume(ctx, "x")), second(w.Remove(ctx, "x")), second(w.Ask(ctx, "x", false)),
		} {
			if !errors.Is(err, ErrNoSchedule) {
				t.Errorf("none: %v", err)
			}
		}
		s := w.mustAdd(nightly, 1)
		for i, want := range []bool{true, false} {
			if done, err := w.Pause(ctx, "nightly"); done != want || err != nil {
				t.Errorf("pause %d: %v, %v", i, done, err)
			}
		}
		// A worker that decided before does not make it.
		if _, ok, err := w.MakeClaim(ctx, s, w.due(s), lease); ok || err != nil {
			t.Errorf("a paused one was claimed: %v, %v", ok, err)
		}
		for i, want := range []bool{true, false} {
			if done, err := w.Resume(ctx, "nightly"); done != want || err != nil {
				t.Errorf("resume %d: %v, %v", i, done, err)
			}
		}
		one, err := w.Ask(ctx, "nightly", false)
		w.must(err)
		if two, err := w.Ask(ctx, "nightly", true); two != one || err != nil || !strings.HasPrefix(one, "nightly@run-2") {
			t.Errorf("asked for %q, then %q, %v", one, two, err)
		}
		s = w.get("nightly")
		if s.Asked.Batch != one || !s.Asked.Overlap || s.Asked.At.IsZero() {
			t.Errorf("%+v", s.Asked)
		}
		c, ok, err := w.MakeClaim(ctx, s, Decision{Action: Make, Kind: KindAsked, Tick: s.Asked.At, Batch: one, Next: s.Next}, lease)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if after := w.get("nightly"); after.Asked != (Asked{}) || !after.Next.Equal(s.Next) {
			t.Errorf("%+v", after)
		}
		w.must(w.DecidePassed(ctx, s.ID, c, chains("a")))
		if stopped, err := w.Remove(ctx, "nightly"); stopped != one || err != nil {
			t.Errorf("the run that stops is told as %q, %v", stopped, err)
		}
		left := func(key string) bool { return !strings.Contains(key, ":told:") }
		if keys := w.keysLike("*"); slices.ContainsFunc(keys, left) {
			t.Errorf("left: %v", keys)
		}
		if err := w.Finish(ctx, s.ID, c, Run{}); !errors.Is(err, ErrLost) {
			t.Errorf("a run of a removed one ended: %v", err)
		}
		// When it is added again, it has no number twice.
		again := w.mustAdd(nightly, 1)
		if again.version == s.version {
			t.Error("the same version again")
		}
		if d := w.claimIt(again, lease); d.Number == c.Number {
			t.Error("the same number again")
		}
		if err := w.Renew(ctx, s.ID, c, lease); !errors.Is(err, ErrLost) {
			t.Errorf("the old claim goes on: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A schedule does not count if adding it was cut off after it was listed, or removing it
// before it was unlisted.
func TestHalfASchedule(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.rdb.ZAdd(t.Context(), w.listKey(), redis.Z{Score: 1, Member: ID("half")})
		if all, _, err := w.All(t.Context()); len(all) != 0 || err != nil {
			t.Errorf("%+v, %v", all, err)
		}
		if _, err := w.Remove(t.Context(), "half"); !errors.Is(err, ErrNoSchedule) {
			t.Error(err)
		}
		if n := w.rdb.ZCard(t.Context(), w.listKey()).Val(); n != 0 {
			t.Error("it is listed still")
		}
	})
}

func TestManySchedules(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		var names []string
		for i := range 450 {
			d := nightly
			d.Name = fmt.Sprint("s", i)
			names = append(names, d.Name)
			w.must(w.Put(context.Background(), d, 1, "r", false))
		}
		all, _, err := w.All(t.Context())
		var got []string
		for _, s := range all {
			got = append(got, s.Name)
		}
		slices.Sort(got)
		slices.Sort(names)
		if err != nil || !slices.Equal(got, names) {
			t.Errorf("%d, %v", len(got), err)
		}
	})
}
