package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// losing makes connections that lose the reply to one command, after Redis has carried it out.
type losing struct {
	next atomic.Pointer[string] // the text of the command; nil: none
	lost atomic.Int64
}

func (l *losing) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	return &losingConn{Conn: c, of: l}, err
}

type losingConn struct {
	net.Conn
	of  *losing
	cut atomic.Bool
}

func (c *losingConn) Write(p []byte) (int, error) {
	if text := c.of.next.Load(); text != nil && bytes.Contains(p, []byte(*text)) && c.of.next.CompareAndSwap(text, nil) {
		c.cut.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *losingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.cut.Load() {
		c.of.lost.Add(1)
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

// If a reply was lost, the client sends its command again. A new call is still reported as new, and
// one that was there as a duplicate.
func TestLostReplyOfAnAppend(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		var l losing
		rdb := redis.NewClient(&redis.Options{Addr: b.Addr, DB: b.DB, Dialer: l.dial})
		defer rdb.Close()
		p, err := NewProducer(t.Context(), rdb, Options{Keys: testKey(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		enqueue := func(c Call, lose string) Receipt {
			t.Helper()
			c.Server, c.Token = "1", "tok"
			before := l.lost.Load()
			if lose != "" {
				l.next.Store(&lose)
			}
			r, err := p.Enqueue(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if lose != "" && l.lost.Load() != before+1 {
				t.Fatalf("%q: the reply was not lost", lose)
			}
			return r
		}
		enqueue(Call{}, "") // the script is known from here on
		const first, look = "\r\nao\r\n", "\r\nd\r\n"
		for name, c := range map[string]struct {
			call      Call
			lose      string
			duplicate bool
		}{
			"no id":               {Call{}, "\r\na\r\n", false},
			"a new id":            {Call{ID: "a"}, first, false},
			"a new id, the look":  {Call{ID: "b"}, look, false},
			"of a batch":          {Call{ID: "c", Batch: "batch"}, first, false},
			"put off":             {Call{ID: "d", At: p.clock.Now().AddDate(1, 0, 0)}, first, false},
			"a known id":          {Call{ID: "known"}, "\r\na\r\n", true},
			"a known id, no loss": {Call{ID: "known"}, "", true},
		} {
			t.Run(name, func(t *testing.T) {
				if c.call.ID == "known" {
					enqueue(c.call, "")
				}
				if r := enqueue(c.call, c.lose); r.Duplicate != c.duplicate {
					t.Errorf("%+v", r)
				}
				if c.call.ID == "" {
					return
				}
				if r := enqueue(c.call, ""); !r.Duplicate {
					t.Errorf("enqueued again: %+v", r)
				}
			})
		}
		// Nothing was added twice.
		tag := b.Client.Keys(t.Context(), "habilita:*:calls:*").Val()
		calls := int64(0)
		for _, k := range tag {
			calls += b.Client.HLen(t.Context(), k).Val()
		}
		if calls != 7 {
			t.Errorf("%d calls", calls)
		}
	})
}

// A bulk that loses the reply to a group reports the same as one that gets all replies.
func TestLostReplyInABulk(t *testing.T) {
	row := "the row that is lost"
	many := func(c Call, n int) []Call {
		var calls []Call
		for range n {
			calls = append(calls, c)
		}
		return calls
	}
	plain := Call{Server: "1", Token: "tok"}
	last := Call{Server: "1", Token: "tok", Ref: row}
	cases := map[string]struct {
		before, calls []Call
		opts          BatchOptions
		fresh         int
	}{
		"all are new":          {nil, append(many(plain, 40), last), BatchOptions{}, 41},
		"with ids":             {nil, []Call{{Server: "1", Token: "tok", ID: "a"}, {Server: "1", Token: "tok", ID: "b", Ref: row}}, BatchOptions{}, 2},
		"some were there":      {many(plain, 10), append(many(plain, 12), last), BatchOptions{}, 3}, // in one group
		"some, out of order":   {append(many(plain, 10), last), append([]Call{{Server: "1", Token: "tok", Ref: "new"}}, append(many(plain, 10), last)...), BatchOptions{}, 1},
		"all were there":       {append(many(plain, 10), last), append(many(plain, 10), last), BatchOptions{}, 0},
		"an id that conflicts": {[]Call{{Server: "1", Token: "tok", ID: "a"}}, []Call{{Server: "1", Token: "tok", ID: "b"}, {Server: "2", Token: "tok", ID: "a"}, last}, BatchOptions{}, 1},
		"a conflict, skip": {[]Call{{Server: "1", Token: "tok", ID: "a"}}, []Call{{Server: "1", Token: "tok", ID: "b"}, {Server: "2", Token: "tok", ID: "a"}, last},
			BatchOptions{Policy: "skip"}, 2},
		"a part":        {many(plain, 1), []Call{{Server: "1", Token: "tok-2"}, plain, last, {Server: "1", Token: "tok", ID: "a"}}, BatchOptions{PartIf: func() bool { return true }}, 1},
		"put off":       {nil, append(many(plain, 40), last), BatchOptions{NotBefore: time.Now().AddDate(1, 0, 0)}, 41},
		"with licences": {nil, append(many(Call{Server: "1", Token: "tok", Licenses: 3}, 3), last), BatchOptions{}, 4},
	}
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		var l losing
		rdb := redis.NewClient(&redis.Options{Addr: b.Addr, DB: b.DB, Dialer: l.dial})
		defer rdb.Close()
		p, err := NewProducer(t.Context(), rdb, Options{Keys: testKey(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				bulk := func(batch string, calls []Call) Summary {
					t.Helper()
					sum, err := p.EnqueueBatch(t.Context(), batch, func(yield func(Call, error) bool) {
						for _, c := range calls {
							if !yield(c, nil) {
								return
							}
						}
					}, c.opts)
					if err != nil {
						t.Fatal(err)
					}
					sum.Batch, sum.Elapsed = "", 0
					return sum
				}
				sums := map[bool]Summary{}
				for _, lose := range []bool{false, true} {
					batch := fmt.Sprint(strings.ReplaceAll(name, " ", "-"), lose)
					if len(c.before) > 0 {
						bulk(batch, c.before)
					}
					before := l.lost.Load()
					if lose {
						l.next.Store(&row)
					}
					sums[lose] = bulk(batch, c.calls)
					if (l.lost.Load() > before) != lose {
						t.Fatalf("%d replies were lost", l.lost.Load()-before)
					}
				}
				if sums[true] != sums[false] || sums[true].Enqueued != c.fresh {
					t.Errorf("\nlost:  %+v\nwhole: %+v\nwant %d new", fields(sums[true]), fields(sums[false]), c.fresh)
				}
			})
		}
	})
}

// fields is a summary that prints with all its fields.
func fields(s Summary) any {
	type plain Summary
	return plain(s)
}
