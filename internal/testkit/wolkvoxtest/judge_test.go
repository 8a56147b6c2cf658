package wolkvoxtest_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"habilita/internal/testkit/wolkvoxtest"
)

// req is a request of a call that arrived and ended at these numbers; end 0 means that the vendor still works on it.
func req(call string, seq, end int64, change ...func(*wolkvoxtest.Record)) wolkvoxtest.Record {
	r := wolkvoxtest.Record{Seq: seq, EndSeq: end, Call: call, Token: "t", Day: "2026-11-23", Quota: 1000}
	for _, c := range change {
		c(&r)
	}
	return r
}

func ok(r *wolkvoxtest.Record)   { r.Success, r.Status = true, 202 }
func lost(r *wolkvoxtest.Record) { r.Success, r.Fault, r.Hidden = true, wolkvoxtest.ResetAfter, true }
func by(token string) func(*wolkvoxtest.Record) {
	return func(r *wolkvoxtest.Record) { r.Token = token }
}
func quota(n int) func(*wolkvoxtest.Record)  { return func(r *wolkvoxtest.Record) { r.Quota = n } }
func day(d string) func(*wolkvoxtest.Record) { return func(r *wolkvoxtest.Record) { r.Day = d } }

// Each judge finds the violations that there are, and none in a good account.
func TestJudges(t *testing.T) {
	chains := [][]string{{"a", "b", "c"}, {"x", "y"}}
	type judge struct {
		name string
		f    func(wolkvoxtest.Account) []wolkvoxtest.Violation
	}
	judges := []judge{
		{"slots", wolkvoxtest.Account.OverSlots},
		{"quota", wolkvoxtest.Account.OverQuota},
		{"order", func(a wolkvoxtest.Account) []wolkvoxtest.Violation { return a.OrderViolations(chains) }},
		{"overlap", func(a wolkvoxtest.Account) []wolkvoxtest.Violation { return a.OverlapViolations(chains) }},
		{"duplicate", wolkvoxtest.Account.DuplicateSuccesses},
		{"extra", wolkvoxtest.Account.Extra},
		{"unexplained", wolkvoxtest.Account.Unexplained},
		{"repeat", wolkvoxtest.Account.RepeatedIDs},
	}
	id := func(s string) func(*wolkvoxtest.Record) {
		return func(r *wolkvoxtest.Record) { r.RequestID = s }
	}
	for _, tc := range []struct {
		name    string
		records []wolkvoxtest.Record
		want    string // "judge:call/seq>other/seq ..." in the order of judges
	}{
		{"nothing", nil, ""},
		{"good", []wolkvoxtest.Record{
			req("a", 1, 4), req("x", 2, 3, ok), req("a", 5, 6, ok), req("y", 7, 9, ok), req("b", 8, 10, ok), req("c", 11, 12, ok),
		}, ""},
		{"a call that failed is tried again", []wolkvoxtest.Record{req("a", 1, 2), req("a", 3, 4), req("a", 5, 6, ok), req("b", 7, 8)}, ""},
		{"three in flight", []wolkvoxtest.Record{req("k", 1, 10), req("l", 2, 10), req("m", 3, 0)}, "slots:m/3>"},
		{"three of two tokens", []wolkvoxtest.Record{req("k", 1, 10), req("l", 2, 10), req("m", 3, 0, by("u"))}, ""},
		{"third after an end", []wolkvoxtest.Record{req("k", 1, 10), req("l", 2, 3), req("m", 4, 0)}, ""},
		{"over the quota", []wolkvoxtest.Record{
			req("k", 1, 2, quota(2)), req("l", 3, 4, quota(2)), req("m", 5, 6, quota(2)),
			req("n", 7, 8, quota(2), day("2026-11-24")), req("o", 9, 10, quota(2), by("u")),
		}, "quota:m/5>"},
		{"quota of a bad token", []wolkvoxtest.Record{req("k", 1, 2, quota(0))}, ""},
		{"before the success ended", []wolkvoxtest.Record{req("a", 1, 3, ok), req("b", 2, 4, ok)}, "order:b/2>a/1 overlap:b/2>a/1"},
		{"before the success began", []wolkvoxtest.Record{req("a", 1, 2), req("b", 3, 4, ok), req("a", 5, 6, ok)}, "order:b/3>a/5"},
		{"with no success", []wolkvoxtest.Record{req("a", 1, 2), req("b", 3, 4, ok)}, "order:b/3>a/0"},
		{"with no request", []wolkvoxtest.Record{req("b", 3, 4, ok)}, "order:b/3>a/0"},
		{"a refused one is out of order too", []wolkvoxtest.Record{req("x", 1, 4, ok), req("y", 2, 3)}, "order:y/2>x/1 overlap:y/2>x/1"},
		{"order in the second chain, second call", []wolkvoxtest.Record{req("a", 1, 2, ok), req("c", 3, 4, ok)}, "order:c/3>b/0"},
		{"back to a call that had succeeded", []wolkvoxtest.Record{
			req("a", 1, 2, lost), req("b", 3, 4), req("a", 5, 6, ok),
		}, "order:a/5>b/3 duplicate:a/5>a/1 extra:a/5>a/1"},
		{"a call overlaps with itself", []wolkvoxtest.Record{req("a", 1, 0, lost), req("a", 2, 3)}, "overlap:a/2>a/1 extra:a/2>a/1"},
		{"a long one overlaps with later ones", []wolkvoxtest.Record{
			req("a", 1, 20, ok), req("a", 2, 3), req("a", 4, 5),
		}, "overlap:a/2>a/1 overlap:a/4>a/1 extra:a/2>a/1 unexplained:a/2>a/1"},
		{"two chains may overlap", []wolkvoxtest.Record{req("a", 1, 4, ok), req("x", 2, 3, ok)}, ""},
		{"done twice, explained", []wolkvoxtest.Record{req("k", 1, 2, lost), req("k", 3, 4, ok)}, "duplicate:k/3>k/1 extra:k/3>k/1"},
		{"done twice, for nothing", []wolkvoxtest.Record{
			req("k", 1, 2, ok), req("k", 3, 4, ok),
		}, "duplicate:k/3>k/1 extra:k/3>k/1 unexplained:k/3>k/1"},
		{"one unknown outcome explains one", []wolkvoxtest.Record{
			req("k", 1, 2, lost), req("k", 3, 4, ok), req("k", 5, 6),
		}, "duplicate:k/3>k/1 extra:k/3>k/1 extra:k/5>k/1 unexplained:k/5>k/1"},
		{"the repeat failed and is tried again", []wolkvoxtest.Record{
			req("k", 1, 2, lost), req("k", 3, 4), req("k", 5, 6),
		}, "extra:k/3>k/1"},
		{"another call's unknown outcome explains nothing", []wolkvoxtest.Record{
			req("l", 1, 2, lost), req("k", 3, 4, ok), req("k", 5, 6),
		}, "extra:k/5>k/3 unexplained:k/5>k/3"},
		{"the same id twice", []wolkvoxtest.Record{req("k", 1, 2, id("k.1")), req("k", 3, 4, id("k.1")), req("k", 5, 6, id("k.2"))}, "repeat:k/3>k/1"},
		{"no call ids at all", []wolkvoxtest.Record{req("", 1, 2, ok), req("", 3, 4, ok)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			slices.Reverse(tc.records) // NewAccount puts them in order
			a := wolkvoxtest.NewAccount(tc.records...)
			var found []string
			for _, j := range judges {
				for _, v := range j.f(a) {
					s := fmt.Sprintf("%s:%s/%d>", j.name, v.Call, v.Seq)
					if v.Other != "" {
						s += fmt.Sprintf("%s/%d", v.Other, v.OtherSeq)
					}
					found = append(found, s)
					if strings.Contains(v.String(), "token t") || v.Detail == "" {
						t.Errorf("violation %q", v)
					}
				}
			}
			if got := strings.Join(found, " "); got != tc.want {
				t.Errorf("found %q\nwant  %q", got, tc.want)
			}
			s := a.Summarize(chains)
			broken := strings.Contains(tc.want, "slots") || strings.Contains(tc.want, "quota") || strings.Contains(tc.want, "order") ||
				strings.Contains(tc.want, "overlap") || strings.Contains(tc.want, "unexplained")
			if broken != (len(s.Broken()) > 0) {
				t.Errorf("broken: %q", s.Broken())
			}
		})
	}
}

// No judge finds fault with a good worker's requests, whatever they are. If one request comes too early, it is found.
func TestJudgesOnChains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []wolkvoxtest.Record
		var chain []string
		seq := int64(0)
		for i := range rapid.IntRange(2, 6).Draw(t, "calls") {
			call := fmt.Sprint("c", i)
			chain = append(chain, call)
			for range rapid.IntRange(0, 3).Draw(t, "failures") {
				records = append(records, req(call, seq+1, seq+2))
				seq += 2
			}
			records = append(records, req(call, seq+1, seq+2, ok))
			seq += 2
		}
		good := wolkvoxtest.NewAccount(records...)
		if s := good.Summarize([][]string{chain}); len(s.Broken()) > 0 || s.Extra+s.Duplicates > 0 || s.Successes != len(chain) {
			t.Fatalf("a good account is accused: %v %+v", s.Broken(), s)
		}
		// A request of any call but the first arrives during a request of the call before it.
		i := rapid.IntRange(1, len(chain)-1).Draw(t, "early")
		before := good.Requests(chain[i-1])
		victim := before[rapid.IntRange(0, len(before)-1).Draw(t, "during")]
		for j := range records { // make room in the numbers
			records[j].Seq, records[j].EndSeq = records[j].Seq*10, records[j].EndSeq*10
		}
		records = append(records, req(chain[i], victim.Seq*10+1, victim.Seq*10+2))
		bad := wolkvoxtest.NewAccount(records...)
		order, overlap := bad.OrderViolations([][]string{chain}), bad.OverlapViolations([][]string{chain})
		if len(order) != 1 || len(overlap) != 1 || order[0].Call != chain[i] || overlap[0].OtherSeq != victim.Seq*10 {
			t.Fatalf("order %v, overlap %v", order, overlap)
		}
	})
}

func TestLookups(t *testing.T) {
	a := wolkvoxtest.NewAccount(req("a", 1, 2), req("a", 3, 4, ok), req("b", 5, 0, by("u")))
	if len(a.Requests("a")) != 2 || len(a.RequestsOf("u")) != 1 || len(a.Successes()) != 1 || !a.Succeeded("a") || a.Succeeded("b") {
		t.Errorf("lookups of %+v", a.Records)
	}
	if a.Of("u").InFlight != 1 || a.Of("nobody") != (wolkvoxtest.Totals{}) || a.Totals.Requests != 3 {
		t.Errorf("totals %+v", a.Totals)
	}
	if rs := a.UnknownOutcomes(); len(rs) != 1 || rs[0].Call != "b" {
		t.Errorf("unknown %+v", rs)
	}
}

func TestSummaryTable(t *testing.T) {
	a := wolkvoxtest.NewAccount(req("a", 1, 9), req("b", 2, 9, ok), req("c", 3, 9, ok))
	s := a.Summarize([][]string{{"a", "b"}, {"c"}})
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"most in flight for a token  3 (2 allowed)", "order violations            1", "successes                   2"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if len(s.Broken()) != 3 {
		t.Errorf("broken: %q", s.Broken())
	}
	b.Reset()
	if err := (wolkvoxtest.Summary{Unjudged: true}).Write(&b); err != nil || !strings.Contains(b.String(), "not judged") {
		t.Errorf("unjudged: %s %v", b.String(), err)
	}
}
