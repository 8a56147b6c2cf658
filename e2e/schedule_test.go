package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/schedule"
)

// scheduleField sets a field of a schedule: a test can't wait for the night.
func (l *Lab) scheduleField(name, field string, value any) {
	l.TB.Helper()
	if err := l.Client().HSet(l.TB.Context(), "habilita:{s:"+schedule.ID(name)+"}:schedule", field, value).Err(); err != nil {
		l.TB.Fatal(err)
	}
}

// schedule returns a schedule, as the command has it.
func (l *Lab) schedule(name string) control.Schedule {
	l.TB.Helper()
	var s control.Schedule
	l.JSON(l.MustEnqueue("schedule", "show", name, "--json"), &s)
	return s
}

func (l *Lab) awaitRuns(name string, n int) control.Schedule {
	l.TB.Helper()
	var s control.Schedule
	l.Await(fmt.Sprintf("%d runs of %s are over", n, name), 0, func(ctx context.Context) (bool, string) {
		var err error
		s, err = l.Operator().Schedule(ctx, name)
		return err == nil && len(s.Runs) >= n && s.Current == nil, fmt.Sprintf("%+v %v", s, err)
	})
	return s
}

// A schedule is added, and three workers make its run once. The next night its held chains are passed
// over. It is run by hand, paused and removed. No token is anywhere in clear.
func TestScheduleFromNightToNight(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=1ms", "--bad-token=bad-")
	isBad := func(i int) bool { return i == 7 }
	rows := Many(40, 5, func(i int) string {
		if isBad(i) {
			return "bad-" + good(i)
		}
		return good(i)
	})
	file := l.File("nightly.csv", Plan{Rows: rows}.CSV())
	l.MustEnqueue("schedule", "add", "nightly", "--cron", "0 2 * * *", "--timezone", "America/Bogota", "--file", file, "--progress", "none")
	l.Workers(3)
	night := time.Now().Add(-24 * time.Hour)
	l.scheduleField("nightly", "next", night.UnixMilli())
	s := l.awaitRuns("nightly", 1)
	first := Plan{Batch: s.Runs[0].Batch, Rows: rows}
	if !strings.HasPrefix(first.Batch, "nightly@2") || s.Runs[0].Result != "made" || s.Runs[0].Calls != 200 || !s.NextRun.After(time.Now()) {
		t.Fatalf("%+v", s)
	}
	if st := l.AwaitSettled(first.Batch, 0); st.Total != 200 || st.HeldChains != 1 || st.Succeeded != 195 {
		t.Errorf("%+v", st)
	}
	l.MustKeep(Terms{}, first)

	// The next night, the held chain gets no more calls.
	r := l.MustEnqueue("schedule", "run", "nightly", "--json")
	var asked struct{ Batch string }
	l.JSON(r, &asked)
	s = l.awaitRuns("nightly", 2)
	if run := s.Runs[0]; run.Batch != asked.Batch || run.Kind != "asked" || run.Calls != 195 || run.PassedOver != 5 || run.ChainsHeld != 1 {
		t.Errorf("%+v", run)
	}
	if st := l.AwaitSettled(asked.Batch, 0); st.Total != 195 || !st.AllSucceeded() {
		t.Errorf("%+v", st)
	}
	if text := l.MustEnqueue("schedule", "show", "nightly").Stdout; !strings.Contains(text, "5 passed over (1 chain held)") {
		t.Errorf("%s", text)
	}
	if held := l.Chains(true); len(held) != 1 || held[0].Behind != 4 {
		t.Errorf("%+v", held)
	}
	l.MustEnqueue("schedule", "pause", "nightly")
	l.MustEnqueue("schedule", "list")
	for _, leak := range l.Leaks(good(3), file) {
		t.Error(leak)
	}
	l.MustEnqueue("schedule", "remove", "nightly")
	if r := l.Enqueue("schedule", "show", "nightly"); r.Exit != 1 {
		t.Errorf("%s", r)
	}
	for _, key := range l.Client().Keys(t.Context(), "habilita:{s:*").Val() {
		if ttl := l.Client().PTTL(t.Context(), key).Val(); ttl == -1 || ttl > time.Minute { // what a script answered expires by itself
			t.Errorf("left: %s, for %s", key, ttl)
		}
	}
}

// If a worker stands still in the middle of a run (SIGSTOP), another takes the run over. What the first
// does when it goes on changes nothing: every row is enqueued once.
func TestScheduleSurvivesAStoppedWorker(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=0")
	const tokens, each = 2000, 5
	file := l.File("big.csv", Plan{Rows: Many(tokens, each, good)}.CSV())
	l.MustEnqueue("schedule", "add", "big", "--cron", "0 2 * * *", "--file", file, "--progress", "none")
	stopped := l.StartWorker("CONCURRENCY", "1").Ready()
	l.scheduleField("big", "next", time.Now().Add(-time.Minute).UnixMilli())
	stopped.WaitLine("a schedule begins its run", Patience)
	stopped.Pause()
	t.Cleanup(stopped.Resume)
	s, err := l.Operator().Schedule(t.Context(), "big")
	if err != nil {
		t.Fatal(err)
	}
	if s.Current == nil {
		t.Skip("the run was over before the worker could be stopped")
	}
	soFar := 0
	if s.Current.BatchStatus != nil {
		soFar = s.Current.BatchStatus.Total
	}
	t.Logf("stopped after %d of %d calls", soFar, tokens*each)
	l.scheduleField("big", "claim_until", 1) // nobody waits for the lease
	l.StartWorker().WaitLine("a schedule's run goes on that was left", Patience)
	batch := l.awaitRuns("big", 1).Runs[0]
	if batch.Result != "made" || batch.Calls != tokens*each {
		t.Errorf("%+v", batch)
	}
	stopped.Resume()
	stopped.WaitLine("a schedule's run goes on elsewhere", Patience)
	st := l.AwaitSettled(batch.Batch, 2*Patience)
	if st.Total != tokens*each || !st.AllSucceeded() {
		t.Errorf("%+v", st)
	}
	refs := map[string]int{}
	for _, c := range l.Report(batch.Batch) {
		refs[c.Ref]++
	}
	if len(refs) != tokens*each {
		t.Errorf("%d rows of %d", len(refs), tokens*each)
	}
	if s := l.schedule("big"); len(s.Runs) != 1 {
		t.Errorf("%+v", s.Runs)
	}
}
