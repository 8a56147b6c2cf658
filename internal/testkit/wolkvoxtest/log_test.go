package wolkvoxtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"habilita/internal/testkit/wolkvoxtest"
)

func TestReadAccountRoundTrip(t *testing.T) {
	var log buffer
	v := start(t, wolkvoxtest.Options{
		Log:    &log,
		Tokens: map[string]wolkvoxtest.Token{"secret-2": {Quota: 3}, "secret-3": {Bad: true}},
		Script: wolkvoxtest.Random(3, 0.5),
	})
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := range 10 {
				v.enable(fmt.Sprintf("secret-%d", w%4), fmt.Sprintf("call-%d-%d.%d", w, i/2, i%2+1))
			}
		})
	}
	wg.Wait()
	v.enable("", "")
	v.waitInFlight(0)
	v.Hold()
	held := v.enableAsync(t.Context(), "0009", "secret-0", "held.1")
	v.waitInFlight(1)

	want := v.Account()
	text := log.String()
	if strings.Contains(text, "secret") {
		t.Fatal("a token is in the file")
	}
	read, err := wolkvoxtest.ReadAccount(strings.NewReader(text + `{"event":"arr`)) // as read while it is written
	if err != nil {
		t.Fatal(err)
	}
	if !read.Hashed || read.Totals != want.Totals || len(read.Tokens) != len(want.Tokens) || len(read.Records) != len(want.Records) {
		t.Fatalf("read %+v, want %+v", read.Totals, want.Totals)
	}
	for i, r := range read.Records {
		w := want.Records[i]
		if w.Token != "" {
			w.Token = wolkvoxtest.TokenHash(w.Token)
		}
		if !r.Arrived.Equal(w.Arrived) || !r.Ended.Equal(w.Ended) {
			t.Fatalf("times of %d: %v %v, want %v %v", i, r.Arrived, r.Ended, w.Arrived, w.Ended)
		}
		r.Arrived, r.Ended = w.Arrived, w.Ended
		if !reflect.DeepEqual(r, w) {
			t.Fatalf("record %d: %+v, want %+v", i, r, w)
		}
	}
	for token := range want.Tokens {
		if read.Of(token) != want.Of(token) || read.Of(wolkvoxtest.TokenHash(token)) != want.Of(token) {
			t.Errorf("totals of a token: %+v, want %+v", read.Of(token), want.Of(token))
		}
		if len(read.RequestsOf(token)) != len(want.RequestsOf(token)) {
			t.Errorf("requests of a token")
		}
	}
	if got := read.Summarize(nil); got != want.Summarize(nil) {
		t.Errorf("summary %+v, want %+v", got, want.Summarize(nil))
	}
	if !reflect.DeepEqual(read.OverSlots(), want.OverSlots()) || !reflect.DeepEqual(read.OverQuota(), want.OverQuota()) {
		t.Error("violations differ")
	}
	v.Release()
	<-held
}

func TestReadAccountRefuses(t *testing.T) {
	const arrive, end = `{"event":"arrive","seq":1}` + "\n", `{"event":"end","seq":1,"end_seq":2}` + "\n"
	if a, err := wolkvoxtest.ReadAccount(strings.NewReader(arrive + end)); err != nil || a.Totals.Requests != 1 || a.Totals.InFlight != 0 {
		t.Errorf("good: %+v %v", a.Totals, err)
	}
	for name, text := range map[string]string{
		"garbage":                "nope\n",
		"an end with no arrival": end,
		"an arrival twice":       arrive + arrive,
		"an end twice":           arrive + end + end,
		"an unknown event":       `{"event":"x","seq":1}` + "\n",
	} {
		if _, err := wolkvoxtest.ReadAccount(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "line") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wolkvoxtest.ReadAccount(broken{}); !errors.Is(err, errBroken) {
		t.Errorf("broken reader: %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errBroken }
func (broken) Write([]byte) (int, error) { return 0, errBroken }

// Every line is flushed when it is written, and LogErr says if the log can't be written.
func TestLogFlushAndError(t *testing.T) {
	var log buffer
	v := start(t, wolkvoxtest.Options{Log: bufio.NewWriterSize(&log, 1<<20)})
	v.enable("t", "c.1")
	if n := strings.Count(log.String(), "\n"); n != 2 || v.LogErr() != nil {
		t.Errorf("%d lines, %v", n, v.LogErr())
	}
	v = start(t, wolkvoxtest.Options{Log: broken{}})
	if g := v.enable("t", "c.1"); g.status != 202 || !errors.Is(v.LogErr(), errBroken) {
		t.Errorf("%d %v", g.status, v.LogErr())
	}
	// A writer that fails only when it is flushed.
	v = start(t, wolkvoxtest.Options{Log: bufio.NewWriterSize(broken{}, 1<<20)})
	if v.enable("t", "c.1"); !errors.Is(v.LogErr(), errBroken) {
		t.Errorf("flush: %v", v.LogErr())
	}
}

func TestWaitGivesUp(t *testing.T) {
	sim := wolkvoxtest.New(wolkvoxtest.Options{})
	defer sim.Close()
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	waiting := make(chan struct{}, 8)
	result := make(chan error)
	go func() {
		result <- sim.Wait(ctx, func(wolkvoxtest.Account) bool { waiting <- struct{}{}; return false })
	}()
	<-waiting
	cancel(why)
	if err := <-result; !errors.Is(err, why) {
		t.Errorf("wait: %v", err)
	}
}
