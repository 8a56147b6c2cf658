package engine

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/ledger"
)

const aToken = "abcdefghijklmnopqrstuvwx"

func TestDecodeTask(t *testing.T) {
	for _, tc := range []struct{ kind, body, want string }{
		{TypeRun, `{"v":1,"chain":"` + aToken + `","feed":"7"}`, ""},
		{TypeRun, `{"v":1,"chain":"` + aToken + `:night:shift","feed":"7","later":true}`, ""},
		{"other", `{"v":1,"chain":"` + aToken + `","feed":"7"}`, `unknown type "other"`},
		{TypeRun, ``, "no JSON object"},
		{TypeRun, `[]`, "no JSON object"},
		{TypeRun, `{"v":1,"chain":7}`, "no JSON object"},
		{TypeRun, `{}`, "version 0"},
		{TypeRun, `{"v":2,"chain":"` + aToken + `","feed":"7"}`, "version 2"},
		{TypeRun, `{"v":1,"chain":"` + aToken + `","feed":""}`, "names no chain"},
		{TypeRun, `{"v":1,"chain":"","feed":"7"}`, "names no chain"},
		{TypeRun, `{"v":1,"chain":"ABC","feed":"7"}`, "names no chain"},
	} {
		f, err := decodeTask(asynq.NewTask(tc.kind, []byte(tc.body)))
		var poison *PoisonError
		switch {
		case tc.want == "" && (err != nil || f.Number != "7" || !strings.HasPrefix(f.Chain, aToken)):
			t.Errorf("%s: %+v %v", tc.body, f, err)
		case tc.want != "" && (!errors.As(err, &poison) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %s", tc.body, err, tc.want)
		}
	}
}

func FuzzDecodeTask(f *testing.F) {
	for _, seed := range []string{`{"v":1,"chain":"` + aToken + `","feed":"7"}`, `{}`, `null`, `{"v":1e0}`, "\xff", `{"v":1,"chain":"` + aToken + `:x","feed":"\u0000"}`} {
		f.Add(TypeRun, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		dispatch, err := decodeTask(asynq.NewTask(kind, body))
		var poison *PoisonError
		if err != nil {
			if !errors.As(err, &poison) || dispatch != (ledger.Dispatch{}) {
				t.Fatalf("%+v %v", dispatch, err)
			}
			return
		}
		token, _ := ledger.SplitChainID(dispatch.Chain)
		if kind != TypeRun || !ledger.IsToken(token) || dispatch.Number == "" || ledger.TagIndex(ledger.Tag(dispatch.Chain)) < 0 {
			t.Fatalf("%q %q gave %+v", kind, body, dispatch)
		}
		// What was read is written the same.
		again, err := json.Marshal(payload{Version: payloadVersion, Chain: dispatch.Chain, Dispatch: dispatch.Number})
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeTask(asynq.NewTask(TypeRun, again)); err != nil || back != dispatch {
			t.Fatalf("%+v %v, want %+v", back, err, dispatch)
		}
	})
}

func TestTimers(t *testing.T) {
	d, base := newTimers(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return base.Add(time.Duration(s) * time.Second) }
	tag := ledger.TagAt
	d.note(tag(5), at(30))
	d.note(tag(5), at(20)) // earlier: counts
	d.note(tag(5), at(40)) // later: does not
	d.note(tag(900), at(10))
	d.note(tag(7), time.Time{})
	d.note("?!", at(1))
	d.note("", at(1))
	due, next := d.take(at(9))
	if len(due) != 0 || !next.Equal(at(10)) {
		t.Errorf("%v %v", due, next)
	}
	due, next = d.take(at(20))
	if len(due) != 2 || due[0] != tag(5) || due[1] != tag(900) || !next.IsZero() {
		t.Errorf("%v %v", due, next)
	}
	if due, next = d.take(at(99)); len(due) != 0 || !next.IsZero() {
		t.Errorf("taken twice: %v %v", due, next)
	}
}

// timers.run dispatches from each bucket when it is due, and earlier if it becomes due earlier.
func TestTimersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTimers()
		ctx, cancel := context.WithCancel(t.Context())
		type dispatched struct {
			after time.Duration
			tags  string
		}
		var got []dispatched
		began := time.Now()
		d.note(ledger.TagAt(1), began.Add(time.Minute))
		over := make(chan struct{})
		go func() {
			defer close(over)
			d.run(ctx, time.Now, func(tags []string) {
				got = append(got, dispatched{time.Since(began).Truncate(time.Second), strings.Join(tags, " ")})
			})
		}()
		synctest.Wait()
		d.note(ledger.TagAt(2), began.Add(10*time.Second))
		synctest.Wait()
		d.note(ledger.TagAt(3), began.Add(10*time.Second))
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		cancel()
		<-over
		want := []dispatched{{10 * time.Second, ledger.TagAt(2) + " " + ledger.TagAt(3)}, {time.Minute, ledger.TagAt(1)}}
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
