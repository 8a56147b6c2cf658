package webhook

import (
	"fmt"
	"testing"
	"time"

	"habilita/internal/testkit/redistest"
)

// an makes an event with that id.
func an(id string) *Event { return &Event{ID: id, Type: Test, At: time.Now(), Data: "x"} }

func put(t *testing.T, o *Outbox, e *Event, ids ...string) {
	t.Helper()
	var receivers []Receiver
	for _, id := range ids {
		receivers = append(receivers, Receiver{ID: id})
	}
	if told, _, err := o.Tell(t.Context(), Mark{}, e, receivers); err != nil || !told {
		t.Fatal(told, err)
	}
}

func takeOne(t *testing.T, o *Outbox, receiver, nonce string) (delivery, bool) {
	t.Helper()
	d, err := o.take(t.Context(), receiver, time.Minute, nonce)
	if err != nil {
		t.Fatal(err)
	}
	if d == nil {
		return delivery{}, false
	}
	return *d, true
}

func finish(t *testing.T, o *Outbox, d delivery, result, want string) {
	t.Helper()
	if got, err := o.done(t.Context(), d, result, "it failed"); err != nil || got != want {
		t.Fatalf("%s: got %s, %v, want %s", result, got, err, want)
	}
}

// A mark and its event are written together, and by only one of those that read the same mark.
func TestTellOnce(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		o := NewOutbox(b.Client, "")
		tell := func(m Mark, e *Event) bool {
			t.Helper()
			told, _, err := o.Tell(t.Context(), m, e, []Receiver{{ID: "r"}, {ID: "s"}})
			if err != nil {
				t.Fatal(err)
			}
			return told
		}
		if !tell(Mark{"b:1", "", "one"}, an("1")) || tell(Mark{"b:1", "", "other"}, an("2")) {
			t.Error("two tell the same")
		}
		if marks, err := o.Marks(t.Context()); err != nil || len(marks) != 1 || marks["b:1"] != "one" {
			t.Errorf("%q, %v", marks, err)
		}
		for field, want := range map[string]string{"b:1": "one", "b:2": ""} {
			if mark, err := o.Mark(t.Context(), field); err != nil || mark != want {
				t.Errorf("%s: %q, %v", field, mark, err)
			}
		}
		if !tell(Mark{"b:1", "one", ""}, nil) {
			t.Error("a mark can't be removed")
		}
		for _, r := range []string{"r", "s"} {
			if d, ok := takeOne(t, o, r, "n"); !ok || d.id != "1" || d.tries != 1 {
				t.Errorf("%+v", d)
			}
			if d, ok := takeOne(t, o, r, "n"); ok {
				t.Errorf("another: %+v", d)
			}
		}
	})
}

// What a worker says of a delivery counts only while the lease is its own, but that it was delivered always counts.
func TestDeliveriesAreFenced(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		o := NewOutbox(b.Client, "")
		put(t, o, an("1"), "r")
		first, err := o.take(t.Context(), "r", 0, "first") // its lease ends at once
		if err != nil || first == nil {
			t.Fatal(first, err)
		}
		second, ok := takeOne(t, o, "r", "second")
		if !ok || second.tries != 2 {
			t.Fatalf("a lease that ended keeps its delivery: %+v", second)
		}
		finish(t, o, *first, resultFailed, "stale")
		finish(t, o, second, resultBack, resultBack)
		third, ok := takeOne(t, o, "r", "third")
		if !ok || third.tries != 2 {
			t.Fatalf("one that was given back: %+v", third)
		}
		finish(t, o, *first, resultDelivered, resultDelivered)
		finish(t, o, third, resultFailed, "stale")
		for _, key := range []string{"meta:r", "body:r", "due:r", "age:r"} {
			if n, err := b.Client.Exists(t.Context(), o.prefix+key).Result(); err != nil || n != 0 {
				t.Errorf("%s stays: %v", key, err)
			}
		}
	})
}

// A delivery is tried again after 5 s, then at intervals that double up to 15 min. After 24 h it is given up.
func TestRetries(t *testing.T) {
	m := redistest.Mini(t)
	o := NewOutbox(clientOf(t, m.Addr()), "")
	now := time.Now().Truncate(time.Millisecond)
	began := now
	m.SetTime(now)
	put(t, o, an("1"), "r")
	distance := FirstRetry
	for tries := 1; ; tries++ {
		d, ok := takeOne(t, o, "r", fmt.Sprint(tries))
		if !ok || d.tries != tries {
			t.Fatalf("try %d at %v: %+v", tries, now.Sub(began), d)
		}
		result, err := o.done(t.Context(), d, resultFailed, "answered 500")
		if err != nil {
			t.Fatal(err)
		}
		if now.Add(distance).Sub(began) > RetryFor {
			if result != resultGivenUp {
				t.Errorf("at %v: %s", now.Sub(began), result)
			}
			break
		}
		if result != resultFailed {
			t.Fatalf("at %v: %s", now.Sub(began), result)
		}
		m.SetTime(now.Add(distance - time.Millisecond))
		if _, ok := takeOne(t, o, "r", "early"); ok {
			t.Fatalf("try %d came before %v", tries+1, distance)
		}
		now = now.Add(distance)
		m.SetTime(now)
		distance = min(2*distance, MostRetry)
	}
	lost, err := o.Lost(t.Context())
	if err != nil || len(lost) != 1 {
		t.Fatal(lost, err)
	}
	if l := lost[0]; l.Event != "1" || l.Receiver != "r" || l.Error != "answered 500" || !l.GaveUp.Equal(now) || l.Tries < 90 {
		t.Errorf("%+v", l)
	}
	if all, err := o.Deliveries(t.Context(), "r", 10); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestOldestDeliveriesGo(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		o := NewOutbox(b.Client, "")
		o.most = 3
		went := 0
		for i := range 5 {
			if b.SetTime != nil {
				b.SetTime(time.UnixMilli(1_800_000_000_000 + int64(i)))
			}
			_, dropped, err := o.Tell(t.Context(), Mark{}, an(fmt.Sprint("e", i)), []Receiver{{ID: "r"}, {ID: "s"}})
			if err != nil {
				t.Fatal(err)
			}
			went += dropped
		}
		if went != 4 { // 2 of each receiver
			t.Errorf("%d went", went)
		}
		for _, key := range []string{"meta:r", "body:s"} {
			kept, err := b.Client.HKeys(t.Context(), o.prefix+key).Result()
			if err != nil || len(kept) != 3 {
				t.Errorf("%s: %v, %v", key, kept, err)
			}
		}
		all, err := o.Deliveries(t.Context(), "r", 10)
		if err != nil || len(all) != 3 || all[0].Event != "e2" {
			t.Errorf("%+v, %v", all, err)
		}
		// Deliveries that nobody sends expire with their receiver.
		for _, name := range []string{"meta", "body", "due", "age"} {
			if ttl, err := b.Client.PTTL(t.Context(), o.prefix+name+":r").Result(); err != nil || ttl <= 0 || ttl > keepReceiver {
				t.Errorf("%s stays for %v, %v", name, ttl, err)
			}
		}
	})
}

func TestReceivers(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		o := NewOutbox(b.Client, "")
		all, err := ParseReceivers("https://a.example/secret-path?k=1, http://127.0.0.1:9/b")
		if err != nil || len(all) != 2 || all[0].Origin != "https://a.example" || all[0].ID == all[1].ID {
			t.Fatalf("%+v, %v", all, err)
		}
		now := time.Now()
		if err := o.have(t.Context(), all, now.Add(-keepReceiver-time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := o.have(t.Context(), all[:1], now); err != nil {
			t.Fatal(err)
		}
		put(t, o, an("1"), all[0].ID)
		have, err := o.Receivers(t.Context())
		if err != nil || len(have) != 1 || have[0].ID != all[0].ID || have[0].Waiting != 1 {
			t.Errorf("%+v, %v", have, err)
		}
		keys, err := b.Client.Keys(t.Context(), "*secret*").Result()
		if err != nil || len(keys) != 0 {
			t.Errorf("a key holds an address: %v, %v", keys, err)
		}
	})
}

// If Redis is full, deliveries that wait are still delivered or tried again.
func TestFullRedis(t *testing.T) {
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		if b.Server == nil {
			t.Skip("miniredis is never full")
		}
		o := NewOutbox(b.Client, "")
		put(t, o, an("1"), "r")
		if err := b.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		d, ok := takeOne(t, o, "r", "n")
		if !ok {
			t.Fatal("nothing is due")
		}
		finish(t, o, d, "failed", "failed")
	})
}
