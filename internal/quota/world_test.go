package quota

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
)

func TestMain(m *testing.M) {
	redistest.Parallel()
	goleak.VerifyTestMain(m)
}

// backend is a Redis. setTime is nil if its clock can't be set.
type backend struct {
	client  *redis.Client
	setTime func(time.Time)
}

// noon is when a miniredis begins: UTC noon of a day with nothing special.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func startMini(tb testing.TB) backend {
	tb.Helper()
	m := miniredis.RunT(tb)
	m.SetTime(noon)
	m.ClockTTL(true)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	tb.Cleanup(func() { _ = c.Close() })
	return backend{client: c, setTime: m.SetTime}
}

// startReal returns a database of a real Redis, and skips the test if redis-server is not installed.
func startReal(tb testing.TB) backend {
	tb.Helper()
	return backend{client: redistest.Shared(tb).Client.(*redis.Client)}
}

// world is a Limiter on a Redis, and a way to move its time.
type world struct {
	testing.TB
	backend
	l        *Limiter
	now      time.Time // where the time began
	midnight time.Time // the next one
	listens  bool
}

const token = "k7abcdef"

// newWorld begins toMidnight before midnight, or up to a second earlier if time can't
// be set: it chooses the zone to match. 0 is half a day.
func newWorld(t testing.TB, b backend, s Settings, toMidnight time.Duration) *world {
	t.Helper()
	if toMidnight == 0 {
		toMidnight = 12 * time.Hour
	}
	w := &world{TB: t, backend: b}
	var err error
	if w.now, err = b.client.Time(t.Context()).Result(); err != nil {
		t.Fatal(err)
	}
	w.midnight = w.now.Add(toMidnight)
	if b.setTime == nil {
		w.midnight = w.midnight.Add(time.Second - 1).Truncate(time.Second)
	}
	if s.Location == nil {
		sinceDay := int(w.midnight.Unix() % 86400)
		offset := -sinceDay
		if sinceDay > 43200 {
			offset += 86400
		}
		s.Location = time.FixedZone("test", offset)
	}
	s.Prefix = strings.NewReplacer("/", "-", "#", "-", " ", "-", ",", "-").Replace(t.Name())
	w.l = limiter(t, b.client, s)
	return w
}

func limiter(t testing.TB, c *redis.Client, s Settings) *Limiter {
	t.Helper()
	l, err := New(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// exact says that time moves only when told to.
func (w *world) exact() bool { return w.setTime != nil }

// reach moves to a time of the server, or waits for it.
func (w *world) reach(at time.Time) {
	w.Helper()
	if w.setTime != nil {
		w.setTime(at)
		return
	}
	have, err := w.client.Time(w.Context()).Result()
	if err != nil {
		w.Fatal(err)
	}
	select {
	case <-time.After(at.Sub(have) + 2*time.Millisecond):
	case <-w.Context().Done():
	}
}

// waiter waits for a slot.
type waiter struct {
	name  string
	since time.Time
}

func waitAs(name string, since time.Time) waiter { return waiter{seatOf(name), since} }

// seatOf returns the name in the queue of a waiter with a name of the test.
func seatOf(name string) string { return "~test." + name }

func nameOf(seat string) string { return strings.TrimPrefix(seat, seatOf("")) }

// listen hears who is woken, so that nobody is passed over as dead.
func (w *world) listen() {
	w.Helper()
	if w.listens {
		return
	}
	w.listens = true
	sub := w.client.Subscribe(w.Context(), w.l.settings.Prefix+":woken:test")
	w.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) try(as ...waiter) Decision {
	w.Helper()
	var who waiter
	if len(as) > 0 {
		who = as[0]
	}
	d, err := w.l.try(w.Context(), token, who.name, who.since)
	if err != nil {
		w.Fatal(err)
	}
	return d
}

func (w *world) granted(as ...waiter) Grant {
	w.Helper()
	d := w.try(as...)
	if !d.Granted || d.Reason != "" || !d.RetryAt.IsZero() || d.Wait() != 0 {
		w.Fatalf("not granted: %+v", d)
	}
	return d.Grant
}

func (w *world) refused(want Reason, as ...waiter) Decision {
	w.Helper()
	d := w.try(as...)
	if d.Granted || d.Reason != want || d.Grant != (Grant{}) {
		w.Fatalf("got %+v, want a refusal for %s", d, want)
	}
	if d.Wait() <= 0 {
		w.Fatalf("refused until %v, which is not after %v", d.RetryAt, d.Now)
	}
	return d
}

func (w *world) release(g Grant, wantHeld bool, wantWoken string) {
	w.Helper()
	w.freed(g, "", wantHeld, wantWoken)
}

func (w *world) giveBack(g Grant, wantHeld bool, wantWoken string) {
	w.Helper()
	w.freed(g, g.Days, wantHeld, wantWoken)
}

func (w *world) freed(g Grant, days string, wantHeld bool, wantWoken string) {
	w.Helper()
	woken, held, err := w.l.free(w.Context(), g, days)
	if err != nil {
		w.Fatal(err)
	}
	if held != wantHeld || nameOf(woken) != wantWoken {
		w.Fatalf("held %v, woken %q; want %v, %q", held, woken, wantHeld, wantWoken)
	}
}

func (w *world) peek() Usage {
	w.Helper()
	u, err := w.l.Peek(w.Context(), token)
	if err != nil {
		w.Fatal(err)
	}
	return u
}

func (w *world) at(what string, got, want time.Time) {
	w.Helper()
	if got.UnixMilli() != want.UnixMilli() {
		w.Fatalf("%s is %v, want %v", what, got.UTC(), want.UTC())
	}
}

// key returns the name of a key of the token.
func (w *world) key(kind string) string {
	return redisconn.Bucket(w.l.settings.Prefix, Tag(token)) + kind
}

func (w *world) day(at time.Time) string { return at.In(w.l.settings.Location).Format("20060102") }

// use sets the count of a day.
func (w *world) use(day string, n int) {
	w.Helper()
	if err := w.client.Set(w.Context(), w.key("used:"+token+":"+day), n, 0).Err(); err != nil {
		w.Fatal(err)
	}
}

func (w *world) used(day string) int {
	w.Helper()
	n, err := w.client.Get(w.Context(), w.key("used:"+token+":"+day)).Int()
	if err != nil && err != redis.Nil {
		w.Fatal(err)
	}
	return n
}
