package main

import (
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

func TestParse(t *testing.T) {
	s, err := parse([]string{"-dose", "ci", "-only", "redis", "-seed", "7"}, io.Discard)
	if err != nil || s.full || s.seed != 7 || !s.only.MatchString("kill -9 of Redis") {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := parse(nil, io.Discard); err != nil || !s.full || s.seed == 0 {
		t.Errorf("%+v %v", s, err)
	}
	for _, bad := range []string{"-dose=much", "-only=(", "-parallel=0", "surplus"} {
		if _, err := parse([]string{bad}, io.Discard); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// The doses are those of the table, no matter how they are split.
func TestDoses(t *testing.T) {
	for _, n := range []int{0, 1, 5, 20, 100} {
		total := 0
		for _, part := range split(n, 7) {
			total += part
			if part < 1 || part > 7 {
				t.Errorf("a part of %d", part)
			}
		}
		if total != n {
			t.Errorf("%d of %d", total, n)
		}
	}
	names := map[string]bool{}
	for _, full := range []bool{true, false} {
		for _, r := range rows(full) {
			if full && (names[r.name] || len(r.units) == 0 || r.dose == "") {
				t.Errorf("row %+v", r)
			}
			names[r.name] = true
		}
	}
}

func TestRecovery(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1_700_000_000_000 + ms)) }
	a := wolkvoxtest.NewAccount(
		wolkvoxtest.Record{Seq: 1, EndSeq: 3, Call: "a", Arrived: at(0), Ended: at(100), Gone: true},
		wolkvoxtest.Record{Seq: 2, EndSeq: 4, Call: "b", Arrived: at(10), Ended: at(100)},
		wolkvoxtest.Record{Seq: 5, EndSeq: 6, Call: "a", Arrived: at(3050), Ended: at(3100)},
	)
	// The call was in flight at the first kill; the second kill did not touch it.
	if got := callsBack(a, []time.Time{at(50), at(2000)}, gone); !slices.Equal(got, []time.Duration{3 * time.Second}) {
		t.Errorf("%v", got)
	}
	if got := firstAfter(a, []time.Time{at(5), at(2000), at(4000)}); !slices.Equal(got, []time.Duration{5 * time.Millisecond, 1050 * time.Millisecond}) {
		t.Errorf("%v", got)
	}
}

func TestNextCalls(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1_700_000_000_000 + ms)) }
	a := wolkvoxtest.NewAccount(
		wolkvoxtest.Record{Seq: 1, EndSeq: 3, Call: "one", Arrived: at(0), Ended: at(100)},
		wolkvoxtest.Record{Seq: 2, EndSeq: 4, Call: "two", Arrived: at(10), Ended: at(40)},
		wolkvoxtest.Record{Seq: 5, EndSeq: 6, Call: "three", Arrived: at(107), Ended: at(200)},
		wolkvoxtest.Record{Seq: 7, EndSeq: 8, Call: "four", Arrived: at(300), Ended: at(400)},
	)
	chains := map[string]string{"one": "token:c0", "two": "token:c1", "three": "token:c0", "four": "token:c0"}
	if got := nextCalls(a, chains, []time.Time{at(50), at(150)}); !slices.Equal(got, []time.Duration{7 * time.Millisecond, 100 * time.Millisecond}) {
		t.Errorf("%v", got)
	}
}

// A mutated row is still one row.
func TestMutate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	if err := writeRows(&b, r, 20_000, csvRow, "server,token\n"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 20_002 {
		t.Errorf("%d lines", len(lines))
	}
	for i, l := range lines[:20_001] {
		if strings.Trim(l, " \t\v\f\r") == "" {
			t.Errorf("line %d is blank", i)
		}
	}
}

// The document has a place for the table, and what is around it stays.
func TestWithTable(t *testing.T) {
	doc, err := os.ReadFile("../../" + docsFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := withTable(string(doc), "| a table |\n", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(doc), tableBegin)
	if !strings.HasPrefix(text, before) || !strings.Contains(text, "\n| a table |\n") || !strings.Contains(text, tableEnd) {
		t.Error(text)
	}
	if _, err := withTable("no place", "", false, nil); err == nil {
		t.Error("a text with no place was taken")
	}
	const there = "of a run\n\n| one   | 1 |\n| other | 1 |\n| one, more | 1 |\n\n- one: a note\n- other: a note\n"
	text, err = withTable(tableBegin+there+tableEnd, "| one | 2 |\n", true, []*row{{name: "one"}})
	if want := tableBegin + "\nof a run\n\n| other | 1 |\n| one, more | 1 |\n\n- other: a note\n\n| one | 2 |\n\n" + tableEnd; err != nil || text != want {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestTable(t *testing.T) {
	broken := &row{name: "a", dose: "1", sum: sum{calls: 2, requests: 3, recovery: []time.Duration{time.Second}}}
	broken.sum.breaks("I2", 4)
	failed := &row{name: "b", dose: "1", sum: sum{failed: 1, notes: []string{"so", "so"}}}
	var out strings.Builder
	printTable(&out, []*row{broken, failed})
	for _, want := range []string{"| 0 4 0 0 0 0 0 ", "1.00 / 1.00 s", "BROKEN", "FAILED (1)", "b: so (2 times)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if broken.sum.kept() || failed.sum.kept() || !(&sum{}).kept() {
		t.Error("what is kept")
	}
}
