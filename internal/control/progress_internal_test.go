package control

import (
	"testing"
	"time"
)

func TestPaceIsSmooth(t *testing.T) {
	var p Rate
	now := time.Unix(1, 0)
	if r := p.See(now, 50); r != 0 {
		t.Errorf("first look: %v", r)
	}
	for i := 1; i <= 20; i++ {
		now = now.Add(time.Second)
		want := 100.0
		if i < 3 { // a first wave is no rate
			want = 0
		}
		if r := p.See(now, 50+100*i); r != want || p.Early() != (i < 3) || p.See(now, 50+100*i) != want {
			t.Fatalf("after %d s: %v", i, r)
		}
	}
	// A burst moves it a little; standing still brings it to nothing.
	now = now.Add(time.Second)
	if r := p.See(now, 50+2000+1000); r < 120 || r > 250 {
		t.Errorf("after a burst: %v", r)
	}
	for range 200 {
		now = now.Add(time.Second)
		p.See(now, 3050)
	}
	if r := p.See(now, 3050); r != 0 {
		t.Errorf("standing still: %v", r)
	}
}

// The first look counts only for its own time: it may come just before a wave of answers, or in the middle of one.
func TestPaceOfTheFirstLook(t *testing.T) {
	for _, first := range []int{1, 100} {
		var p Rate
		now := time.Unix(1, 0)
		p.See(now, 0)
		now = now.Add(100 * time.Millisecond)
		p.See(now, first)
		r := 0.0
		for i := 1; i <= 50; i++ {
			now = now.Add(100 * time.Millisecond)
			r = p.See(now, first+10*i)
		}
		if r < 95 || r > 125 {
			t.Errorf("with %d calls in the first tenth of a second, 100 a second after it are %v", first, r)
		}
	}
}

// The time left is the time for what needs no person, wherever it is shown.
func TestTimeLeft(t *testing.T) {
	due := Time{Time: time.Now()}
	for _, c := range []struct {
		s     Status
		rate  float64
		left  time.Duration
		known bool
	}{
		{Status{Open: 120}, 2, time.Minute, true},
		{Status{Open: 120, Blocked: 100}, 2, 10 * time.Second, true},
		{Status{Open: 120, Blocked: 120}, 0, 0, true},
		{Status{Open: 120, Succeeded: 10}, 2, time.Minute, true},
		{Status{Open: 120, Succeeded: 10, Failed: 90}, 2, 6 * time.Second, true}, // nine in ten end without success
		{Status{Open: 2, Succeeded: 1, Failed: 90}, 2, time.Second, true},
		{Status{Open: 120}, 0, 0, false},
		{Status{Open: 120, DueAt: due}, 2, time.Minute, false},
	} {
		if left, known := c.s.TimeLeft(c.rate); known != c.known || known && left != c.left {
			t.Errorf("%+v at %v a second: %v, %t", c.s, c.rate, left, known)
		}
	}
}

// While calls wait for tomorrow's quota, a rate can't tell the time left.
func TestNoTimeLeftUntilTomorrow(t *testing.T) {
	for reason, known := range map[string]bool{"quota": false, "slots": true} {
		var rate Rate
		p := Progress{Waiting: []Waiting{{Reason: "held"}, {Reason: reason}}}
		for i := range 10 {
			p.Status = Status{Total: 100, Succeeded: i, Open: 100 - i}
			p.ETASeconds = nil
			p.see(&rate, &longest{}, time.Unix(int64(i), 0))
		}
		if (p.ETASeconds != nil) != known {
			t.Errorf("%s: %v", reason, p.ETASeconds)
		}
	}
}

// What was given up or cancelled is no basis for a rate.
func TestOnlySuccessesAreARate(t *testing.T) {
	var rate Rate
	for i := range 10 {
		p := Progress{Status: Status{Total: 100, Failed: i, Skipped: i, Cancelled: i, Open: 100 - 3*i}}
		if p.see(&rate, &longest{}, time.Unix(int64(i), 0)); p.Rate != 0 || p.ETASeconds != nil {
			t.Errorf("%+v", p)
		}
	}
}

// A batch takes no less time than its longest chain, however fast the others went.
func TestTimeLeftOfTheLongestChain(t *testing.T) {
	var l longest
	at := func(s float64) time.Time { return time.Unix(1000, int64(s*1e9)) }
	for _, c := range []struct {
		at    float64
		chain string
		left  int
		want  float64 // s
	}{
		{0, "a", 40, 0}, // its pace is not known
		{3, "a", 34, 17},
		{6, "a", 28, 14},
		{9, "b", 27, 0}, // another one is the longest now
		{12, "b", 27, 0},
		{15, "b", 24, 48},
		{18, "", 0, 0}, // too many chains to tell
	} {
		if l.see(at(c.at), c.chain, c.left); l.timeLeft(at(c.at)).Seconds() != c.want {
			t.Errorf("at %v: %v s left, want %v", c.at, l.timeLeft(at(c.at)).Seconds(), c.want)
		}
	}
	l = longest{}
	l.see(at(0), "a", 40)
	l.see(at(3), "a", 34)
	if got := l.timeLeft(at(5)).Seconds(); got != 15 { // between two looks
		t.Errorf("%v s left, want 15", got)
	}
	var rate Rate
	for i := range 8 {
		p := Progress{Status: Status{Total: 1000, Succeeded: 100 * i, Open: 34}}
		p.see(&rate, &l, at(3+float64(i)))
		if p.ETASeconds != nil && *p.ETASeconds < 17-float64(i) {
			t.Errorf("after %d s: %v s left", i, *p.ETASeconds)
		} else if i == 7 && p.ETASeconds == nil {
			t.Error("no time left is known")
		}
	}
}
