package localrun

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
)

var errBadRow = errors.New("a bad row")

// file gives the rows of a text: server, token and optionally ref=, id= and chain=. A row that
// begins with ! is a bad one.
func file(text string) iter.Seq2[engine.Call, error] {
	return func(yield func(engine.Call, error) bool) {
		line := 1
		for row := range strings.SplitSeq(text, ";") {
			row, bad := strings.CutPrefix(strings.TrimSpace(row), "!")
			f := strings.Fields(row)
			line++
			c := engine.Call{Server: f[0], Token: engine.Token(f[1]), Row: line}
			for _, f := range f[2:] {
				name, value, _ := strings.Cut(f, "=")
				*map[string]*string{"ref": &c.Ref, "id": &c.ID, "chain": &c.Chain}[name] = value
			}
			var err error
			if bad {
				err = errBadRow
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// told puts a summary into few words.
func told(s engine.Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d new", s.Enqueued)
	for _, p := range []struct {
		n    int
		what string
	}{
		{s.Made, "made"}, {s.Waiting, "waiting"}, {s.Held, "held"}, {s.Ended, "ended"}, {s.Conflicts, "conflict"},
		{s.Rejected, "rejected"}, {s.Withheld, "withheld"}, {s.Missing, "missing"}, {s.OutOfOrder, "out of order"},
	} {
		if p.n > 0 {
			fmt.Fprintf(&b, ", %d %s", p.n, p.what)
		}
	}
	return b.String()
}

var quietly = engine.BatchOptions{OnReject: func(error) error { return nil }}

// foreseen returns what a dry run says about a start. It changes nothing.
func foreseen(t *testing.T, c Config, text string) string {
	t.Helper()
	before, _ := os.ReadFile(JournalOf(c.File))
	sum, err := Look(t.Context(), c, file(text), quietly)
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(JournalOf(c.File)); !bytes.Equal(before, after) {
		t.Error("a look wrote into the journal")
	}
	return told(sum)
}

// given makes a start that finishes its file. It returns what the start said, and a dry run before it, and the state after.
func given(t *testing.T, c Config, text string) (string, State) {
	t.Helper()
	looked := foreseen(t, c, text)
	j, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	sum, err := j.Enqueue(t.Context(), file(text), quietly)
	if err != nil {
		t.Fatal(err)
	}
	if said := told(sum); said != looked {
		t.Errorf("a look said %q, the start %q", looked, said)
	}
	state, err := j.Work(t.Context(), false, func(State) {})
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	return told(sum), state
}

// requests are those of the account: server and token, in the order of their arrival.
func requests(sim *wolkvoxtest.Server) []string {
	records := sim.Account().Records
	slices.SortFunc(records, func(a, b wolkvoxtest.Record) int { return int(a.Seq - b.Seq) })
	var all []string
	for _, r := range records {
		all = append(all, strings.TrimLeft(r.Server, "0")+" "+r.Token)
	}
	return all
}

// refusing is a vendor that refuses tokens that begin with "bad".
func refusing(t *testing.T) *wolkvoxtest.Server {
	return wolkvoxtest.Start(t, wolkvoxtest.Options{Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		if strings.HasPrefix(r.Token, "bad") || r.Server == "0013" {
			return wolkvoxtest.Fault{Kind: wolkvoxtest.BadToken}
		}
		return wolkvoxtest.Fault{}
	}})
}

// If a corrected file is given again, what is new is made, and nothing twice.
func TestCorrectedFileGoesOn(t *testing.T) {
	type step struct{ file, told, requests string }
	for name, c := range map[string]struct {
		policy string
		steps  []step
	}{
		"the same again": {"hold", []step{
			{"1 a; 2 a; 1 b", "3 new", "1 a,1 b,2 a"}, {"1 a; 2 a; 1 b", "0 new, 3 made", ""}}},
		"a token": {"hold", []step{
			{"1 a; 2 bad; 3 bad; 4 a", "4 new", "1 a,2 bad,4 a"},
			{"1 a; 2 b; 3 b; 4 a", "2 new, 2 made, 2 missing", "2 b,3 b"},
			{"1 a; 2 b; 3 b; 4 a", "0 new, 4 made", ""}}},
		"a server, a ref and another order": {"hold", []step{
			{"1 a; 2 a ref=x; 3 a", "3 new", "1 a,2 a,3 a"},
			{"3 a; 2 a ref=y; 5 a; 1 a", "2 new, 2 made, 2 out of order", "2 a,5 a"}}},
		"equal rows": {"hold", []step{
			{"1 a; 1 a", "2 new", "1 a,1 a"}, {"1 a; 1 a; 1 a", "1 new, 2 made", "1 a"}, {"1 a", "0 new, 1 made", ""},
			{"1 a; 1 a; 1 a", "0 new, 3 made", ""}}},
		"a rejected row": {"hold", []step{
			{"1 a; !2 a; 3 a; 1 b", "2 new, 1 rejected, 1 withheld", "1 a,1 b"},
			{"1 a; 2 a; 3 a; 1 b", "2 new, 2 made", "2 a,3 a"}}},
		"a row that was made is rejected": {"hold", []step{
			{"1 a; 2 a; 3 a", "3 new", "1 a,2 a,3 a"},
			{"1 a; !2 a; 3 a; 4 a", "0 new, 2 made, 1 rejected, 1 withheld", ""},
			{"1 a; 2 a; 3 a; 4 a", "1 new, 3 made", "4 a"}}},
		"an id": {"hold", []step{
			{"1 a id=x; 2 a id=y", "2 new", "1 a,2 a"},
			{"1 a id=x; 3 a id=y; 4 a", "0 new, 1 made, 1 conflict, 1 withheld", ""},
			{"1 a id=x; 2 a id=y chain=k; 4 a", "1 new, 1 made, 1 conflict", "4 a"},
			{"1 a id=x; 2 a id=y; 2 a id=y", "0 new, 2 made, 1 conflict", ""}}},
		"held": {"hold", []step{
			{"1 a; 2 bad; 3 bad", "3 new", "1 a,2 bad"},
			{"2 bad; 3 bad; 1 a", "0 new, 1 made, 1 waiting, 1 held", ""},
			{"7 bad; 2 bad; 1 a", "1 new, 1 made, 1 held, 1 missing, 1 out of order", ""},
			{"1 a; 3 bad", "1 new, 1 made, 2 missing", "3 bad"},
			{"1 a", "0 new, 1 made, 1 missing", ""}, {"1 a", "0 new, 1 made", ""}, {"1 a; 3 bad", "0 new, 1 made, 1 held", ""}}},
		"skipped": {"skip", []step{
			{"1 a; 2 bad; 3 bad", "3 new", "1 a,2 bad,3 bad"},
			{"3 bad; 4 bad; 2 bad; 1 a", "1 new, 1 made, 2 ended", "4 bad"}}},
		"cancelled": {"cancel", []step{
			{"1 a; 2 bad; 3 bad", "3 new", "1 a,2 bad"},
			{"3 bad; 2 bad; 1 a; 2 b", "1 new, 1 made, 2 ended", "2 b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := refusing(t)
			conf := config(newFile(t, "x"), sim)
			conf.Policy = c.policy
			for i, s := range c.steps {
				before := len(requests(sim))
				said, _ := given(t, conf, s.file)
				if said != s.told {
					t.Errorf("start %d said %q, want %q", i+1, said, s.told)
				}
				made := requests(sim)[before:]
				slices.Sort(made)
				if have := strings.Join(made, ","); have != s.requests {
					t.Errorf("start %d made %q, want %q", i+1, have, s.requests)
				}
			}
		})
	}
}

// Calls that were made stay made, even if in the file as it is now they stand behind the one that holds their chain. When
// that one is skipped, none of them goes out again.
func TestMadeCallsBehindAHeldOne(t *testing.T) {
	sim := refusing(t)
	conf := config(newFile(t, "x"), sim)
	for _, s := range []struct {
		again                GivenUp
		file, told, requests string
	}{
		{Leave, "1 x; 2 x; 13 x", "3 new", "1 x,2 x,13 x"},
		{Leave, "13 x; 2 x; 1 x", "0 new, 2 made, 1 held", ""},
		{Skip, "13 x; 2 x; 1 x", "0 new, 2 made, 1 ended", ""},
	} {
		before := len(requests(sim))
		conf.GivenUp = s.again
		said, _ := given(t, conf, s.file)
		if made := strings.Join(requests(sim)[before:], ","); said != s.told || made != s.requests {
			t.Errorf("%s (%q): said %q and made %q, want %q and %q", s.file, s.again, said, made, s.told, s.requests)
		}
	}
}

// A dry run changes nothing, even if it was asked to retry or skip calls that were given up, and even
// while another process works on the file.
func TestLookChangesNothing(t *testing.T) {
	sim := refusing(t)
	c := config(newFile(t, "x"), sim)
	given(t, c, "1 a; 2 bad; 3 bad")
	for again, want := range map[GivenUp]string{Leave: "0 new, 1 made, 1 waiting, 1 held", Retry: "0 new, 1 made, 2 waiting", Skip: "0 new, 1 made, 1 waiting, 1 ended"} {
		c.GivenUp = again
		if said := foreseen(t, c, "1 a; 2 bad; 3 bad"); said != want {
			t.Errorf("%q: %s, want %s", again, said, want)
		}
	}
	c.GivenUp = Leave
	j, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if said := foreseen(t, c, "1 a; 4 b"); said != "1 new, 1 made, 2 missing" {
		t.Errorf("while another works on it: %s", said)
	}
	c.Policy = "skip"
	var policy *PolicyError
	if _, err := Look(t.Context(), c, file("1 a"), engine.BatchOptions{}); !errors.As(err, &policy) {
		t.Errorf("%v", err)
	}
	if n := len(requests(sim)); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// Rows that were withheld are made in the file's order when the one before them is corrected.
func TestCorrectedRowComesInItsPlace(t *testing.T) {
	sim := refusing(t)
	c := config(newFile(t, "x"), sim)
	given(t, c, "1 a; !2 a; 3 a; 4 a")
	given(t, c, "1 a; 2 a; 3 a; 4 a")
	if have := strings.Join(requests(sim), ","); have != "1 a,2 a,3 a,4 a" {
		t.Error(have)
	}
}

// Calls whose rows are gone stay in the results, and don't count in the job.
func TestGoneRowsStayInTheResults(t *testing.T) {
	sim := refusing(t)
	c := config(newFile(t, "x"), sim)
	given(t, c, "1 a id=one; 2 bad id=two; 3 bad id=three")
	_, s := given(t, c, "1 a id=one; 2 b id=two2")
	if !s.AllSucceeded() || s.Total != 2 || !s.Settled {
		t.Errorf("%+v", s.Status)
	}
	lines := resultsIn(t, c.File)
	slices.Sort(lines)
	if have := strings.Join(lines, " "); have != "one,succeeded two,failed two2,succeeded" {
		t.Errorf("%s", have)
	}
	// A row that comes back is what it was.
	if said, s := given(t, c, "1 a id=one; 2 b id=two2; 2 bad id=two"); said != "0 new, 2 made, 1 held" || s.Failed != 1 {
		t.Errorf("%s: %+v", said, s.Status)
	}
}

// If a file changes between its two readings, its calls are not made.
func TestFileThatChangesWhileItIsRead(t *testing.T) {
	for _, second := range []string{"1 a; 2 bad; 3 a", "1 a"} {
		sim := refusing(t)
		c := config(newFile(t, "x"), sim)
		given(t, c, "1 a; 2 bad; 3 a")
		j, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		readings := 0
		_, err = j.Enqueue(t.Context(), func(yield func(engine.Call, error) bool) {
			readings++
			file([]string{"1 a; 2 bad", second}[readings-1])(yield)
		}, engine.BatchOptions{})
		if err := errors.Join(j.Close()); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(err, ErrEdited) {
			t.Errorf("then %q: %v", second, err)
		}
	}
}

// A job that an older version began goes on to its end with the same file, and takes no other.
func TestOlderJobGoesOn(t *testing.T) {
	sim := refusing(t)
	c := config(newFile(t, "as it was"), sim)
	const rows = "1 a; 2 a chain=k; 3 a; !4 a; 5 a; 1 b id=x"
	j, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	// This is what that version wrote: a head with the file's content, and keys that are places.
	h := j.head
	h.Version = oldVersion
	keys, err := vault.ParseKeys(h.Keys)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := vault.OpenTokenIDKey(t.Context(), j.world.Client, tokenIDKeyName, keys)
	if err != nil {
		t.Fatal(err)
	}
	token := ids.Name("a")
	grant := func(key, nonce, name string) []record {
		id := token
		if name != "" {
			id += ":" + name
		}
		g := &grant{Chain: id, Key: key, Nonce: nonce, Attempt: 1, Spent: 1, Ends: 1, Days: "20200101"}
		return []record{{Type: typeGrant, At: 1, Grant: g},
			{Type: typeEnd, At: 2, Grant: g, End: &end{Kind: ledger.Done, Slot: ledger.Release}}}
	}
	sum := sha256.Sum256([]byte("as it was"))
	content := &content{Size: 9, SHA256: hex.EncodeToString(sum[:])}
	records := []record{{Type: typeHead, At: 1, Head: &h, Content: content}}
	records = append(records, grant("-0", "n0", "")...)
	records = append(records, grant("-1", "n1", "")...)
	records = append(records, grant("-k#0", "n2", "k")...)
	for _, r := range records {
		if err := j.write(r, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.File, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	var old *OldError
	if _, err := Open(t.Context(), c); !errors.As(err, &old) || !strings.Contains(old.Error(), "another name") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(c.File, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"0 new, 3 made, 2 waiting, 1 rejected", "0 new, 5 made, 1 rejected"} {
		if said, _ := given(t, c, rows); said != want {
			t.Errorf("start %d said %q, want %q", i+1, said, want)
		}
	}
	made := requests(sim)
	slices.Sort(made)
	if have := strings.Join(made, ","); have != "1 b,5 a" {
		t.Errorf("made %s", have)
	}
}
