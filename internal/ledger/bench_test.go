package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"habilita/internal/testkit/redistest"
)

// spreadToken returns the name of the nth token, over all buckets.
func spreadToken(n int) string { return TagAt(n%Buckets) + tok(n)[2:] }

func realRedis(b *testing.B) *harness {
	s := redistest.Start(b)
	h := newHarness(b, redistest.Backend{Client: s.Client(), Server: s}, setup{})
	h.unchecked = true
	return h
}

func BenchmarkAppend(b *testing.B) {
	const total = 10_000
	for _, perToken := range []int{1, 10} {
		b.Run(fmt.Sprintf("calls=%d/token=%d", total, perToken), func(b *testing.B) {
			h := realRedis(b)
			rows := make([]NewCall, total)
			for i := range rows {
				rows[i] = NewCall{Token: spreadToken(i / perToken), Key: rowMark + fmt.Sprint(i), Server: "0001", Sealed: "sealed"}
			}
			n := 0
			for b.Loop() {
				n++
				if _, err := h.l.Append(h.ctx, Append{Batch: fmt.Sprint("b", n), Policy: "hold", Calls: rows}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				h.no(h.rdb.FlushAll(h.ctx).Err())
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n)/total, "µs/call")
		})
	}
}

// redisTime reports what Redis itself spent on a script, by its own account since the last
// CONFIG RESETSTAT.
func redisTime(b *testing.B, h *harness) {
	b.StopTimer()
	info, err := h.rdb.Info(h.ctx, "commandstats").Result()
	h.no(err)
	_, line, _ := strings.Cut(info, "cmdstat_evalsha:")
	_, per, _ := strings.Cut(line, "usec_per_call=")
	per, _, _ = strings.Cut(per, ",")
	us, err := strconv.ParseFloat(per, 64)
	h.no(err)
	b.ReportMetric(us, "redis-µs/script")
}

// A full group of a bulk: what Redis and the wire take for each call of it.
func BenchmarkAppendGroup(b *testing.B) {
	const size = 64
	for _, perToken := range []int{1, 10} {
		b.Run(fmt.Sprintf("calls=%d/token=%d", size, perToken), func(b *testing.B) {
			h := realRedis(b)
			n := 0
			for b.Loop() {
				b.StopTimer()
				var g Group
				for i := range size {
					c := NewCall{Token: tok(n*size + i/perToken), Key: rowMark + fmt.Sprint(i), Server: "0001", Sealed: strings.Repeat("s", 80)}
					h.no(g.Add(&c))
				}
				n++
				b.StartTimer()
				if _, err := h.l.AppendGroups(h.ctx, Append{Batch: "b1", Policy: "hold"}, []*Group{&g}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n)/size, "µs/call")
		})
	}
}

func BenchmarkGroupAdd(b *testing.B) {
	c := NewCall{Token: tok(1), Server: "0001", Ref: "order 4711", Sealed: "sealed", Key: UniqueKey("1")}
	var g Group
	b.ReportAllocs()
	for b.Loop() {
		if g.Len() == 64 {
			g.Reset()
		}
		if err := g.Add(&c); err != nil {
			b.Fatal(err)
		}
	}
}

// One request from its dispatch: a dispatch and a begin.
func BenchmarkBegin(b *testing.B) {
	h := realRedis(b)
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		h.append("b1", "hold", calls(tok(n), "", "a"))
		f := h.dispatch(tok(n))
		b.StartTimer()
		s := h.begin(f)
		b.StopTimer()
		h.end(s.Attempt, Done)
		b.StartTimer()
	}
}

// The hand-off from a call to the next one of its chain.
func BenchmarkFinishInPlace(b *testing.B) {
	h := realRedis(b)
	const length = 900 // below the quota of a token
	var a Attempt
	left, token := 0, 0
	defer redisTime(b, h)
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			token++
			ids := make([]string, length+1)
			for i := range ids {
				ids[i] = fmt.Sprint(i)
			}
			h.append("b1", "hold", calls(tok(token), "", ids...))
			a, left = h.start(tok(token)), length
			if token == 1 {
				h.no(h.rdb.ConfigResetStat(h.ctx).Err())
			}
			b.StartTimer()
		}
		s := h.finish(a, Outcome{Kind: Done}, true)
		if s.Status != Running {
			b.Fatalf("%+v", s)
		}
		a = s.Attempt
		left--
	}
}

// The way from a call to one of another chain and token.
func BenchmarkFinishElsewhere(b *testing.B) {
	h := realRedis(b)
	const many = 900
	var a Attempt
	left, token := 0, 0
	defer redisTime(b, h)
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			var rows []NewCall
			for range many {
				token++
				rows = append(rows, calls(tok(token), "", "a")...)
			}
			h.append("b1", "hold", rows)
			first := h.dispatchOne()
			a, left = h.begin(first).Attempt, many-1
			if token == many {
				h.no(h.rdb.ConfigResetStat(h.ctx).Err())
			}
			b.StartTimer()
		}
		s := h.finishOn(a, Outcome{Kind: Done}, Any)
		if s.Status != Running {
			b.Fatalf("%+v", s)
		}
		a = s.Attempt
		if left--; left == 0 {
			b.StopTimer()
			h.end(a, Done)
			b.StartTimer()
		}
	}
}

// The longest script of each kind, in the time of Redis.
func BenchmarkSlices(b *testing.B) {
	h := realRedis(b)
	for name, run := range map[string]func() error{
		"cancel chain": func() error { _, err := h.l.CancelChains(h.ctx, []string{tok(1)}, Meant{}, false); return err },
		"cancel batch": func() error { _, err := h.l.CancelBatch(h.ctx, "b1", []string{testTag}); return err },
	} {
		b.Run(name+"/calls=5000", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				h.no(h.rdb.FlushAll(h.ctx).Err())
				h.fill(5000)
				b.StartTimer()
				h.no(run())
			}
		})
	}
}
