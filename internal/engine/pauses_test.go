package engine

import (
	"testing"
	"time"
)

func TestPauses(t *testing.T) {
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	var p pauses
	if p.since(at(0), at(time.Hour)) {
		t.Error("one that never looked knows of a pause")
	}
	for d := time.Duration(0); d <= time.Second; d += pauseLook {
		if p.look(at(d)) != 0 {
			t.Errorf("a pause at %s", d)
		}
	}
	if p.since(at(0), at(1100*time.Millisecond)) {
		t.Error("a pause where there was none")
	}
	// The process goes on: since knows of the pause before run has looked.
	if !p.since(at(900*time.Millisecond), at(61*time.Second)) {
		t.Error("a pause that is just over is not seen")
	}
	if got := p.look(at(61 * time.Second)); got != time.Minute {
		t.Errorf("a pause of %s", got)
	}
	if !p.since(at(60*time.Second), at(61*time.Second)) || !p.since(at(0), at(62*time.Second)) {
		t.Error("a request of before the pause's end is held against the server")
	}
	p.look(at(61900 * time.Millisecond))
	if p.since(at(61500*time.Millisecond), at(62*time.Second)) {
		t.Error("a request of after the pause is not")
	}
}

// A suspended machine's monotonic clock stands still.
func TestPauseOfASuspendedMachine(t *testing.T) {
	now := time.Now()
	var p pauses
	p.look(now)
	if !p.since(now, now.Round(0).Add(time.Minute)) {
		t.Error("not seen")
	}
}
