package api_test

import (
	"fmt"
	"strings"
	"testing"
)

type given struct {
	Rows, Enqueued, Duplicates, Conflicts, Rejected, Withheld, Missing, Pruned, Made, Waiting, Replaced int

	NotPruned string `json:"not_pruned"`
}

// sheet makes a CSV from rows "server token ref id". A row may leave out its last fields.
func sheet(rows ...string) string {
	out := []string{"server,token,ref,id"}
	for _, r := range rows {
		out = append(out, strings.Join(append(strings.Fields(r), "", "", "", "")[:4], ","))
	}
	return strings.Join(out, "\n") + "\n"
}

// TestFileIsGivenAgain: a body is posted, and then another one for the same batch.
func TestFileIsGivenAgain(t *testing.T) {
	for name, c := range map[string]struct {
		first, then []string
		query       string
		want        given
	}{
		"the same": {[]string{"1 t a", "1 t b"}, []string{"1 t b", "1 t a"}, "", given{Rows: 2, Duplicates: 2, Waiting: 2}},
		"a row is corrected": {[]string{"1 t a", "x-y t b", "1 t c", "1 u d"}, []string{"1 t a", "1 t b", "1 t c", "1 u d"}, "",
			given{Rows: 4, Enqueued: 2, Duplicates: 2, Waiting: 2}},
		"a row is rejected":        {[]string{"1 t a"}, []string{"1 t a", "x-y t b", "1 t c", "1 u d"}, "", given{Rows: 4, Enqueued: 1, Duplicates: 1, Rejected: 1, Withheld: 1, Waiting: 1}},
		"a wrong token":            {[]string{"1 t a", "1 bad b", "1 v c"}, []string{"1 t a", "1 u b", "1 v c"}, "", given{Rows: 3, Enqueued: 1, Duplicates: 2, Waiting: 2, Missing: 1}},
		"and it is pruned":         {[]string{"1 t a", "1 bad b", "1 v c"}, []string{"1 t a", "1 u b", "1 v c"}, "&prune", given{Rows: 3, Enqueued: 1, Duplicates: 2, Waiting: 2, Missing: 1, Pruned: 1}},
		"so many, named":           {[]string{"1 t a", "1 t b", "1 t c"}, []string{"1 t a"}, "&prune=2", given{Rows: 1, Duplicates: 1, Waiting: 1, Missing: 2, Pruned: 2}},
		"another number is named":  {[]string{"1 t a", "1 t b", "1 t c"}, []string{"1 t a"}, "&prune=1", given{Rows: 1, Duplicates: 1, Waiting: 1, Missing: 2, NotPruned: "2 calls are missing from the file, not 1: to cancel them give prune=2"}},
		"none, where a row is bad": {[]string{"1 t a", "1 t b"}, []string{"1 t a", "x-y u b"}, "&prune", given{Rows: 2, Duplicates: 1, Waiting: 1, Rejected: 1, Missing: 1, NotPruned: "rows were left out"}},
		"a conflict":               {[]string{"1 t a i"}, []string{"2 t a i", "1 t b"}, "", given{Rows: 2, Conflicts: 1, Withheld: 1}},
		"an id twice":              {[]string{"1 t a"}, []string{"1 t a", "1 t b i", "1 t c i"}, "", given{Rows: 3, Enqueued: 1, Duplicates: 1, Waiting: 1, Conflicts: 1}},
		"a conflict is replaced":   {[]string{"1 t a i"}, []string{"2 t a i"}, "&prune", given{Rows: 1, Enqueued: 1, Replaced: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.postCSV("/v1/batches?batch=b", sheet(c.first...)).want(t, 202, nil)
			var got given
			w.postCSV("/v1/batches?batch=b"+c.query, sheet(c.then...)).want(t, 202, &got)
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestPruneOfManyMustBeNamed(t *testing.T) {
	w := newWorld(t)
	var all []string
	for i := range 30 {
		all = append(all, fmt.Sprint("1 t ", i))
	}
	w.postCSV("/v1/batches?batch=b", sheet(all...)).want(t, 202, nil)
	var got given
	w.postCSV("/v1/batches?batch=b&prune", sheet(all[0])).want(t, 202, &got)
	if got.Pruned != 0 || got.Missing != 29 || !strings.Contains(got.NotPruned, "29 of 30 calls are missing from the file, which may be a mistake: to cancel them give prune=29") {
		t.Errorf("%+v", got)
	}
	w.postCSV("/v1/batches?batch=b&prune=0", sheet(all[0])).want(t, 400, nil)
	w.postCSV("/v1/batches?batch=b&prune=29", sheet(all[0])).want(t, 202, &got)
	if got.Pruned != 29 {
		t.Errorf("%+v", got)
	}
	var log list[struct{ Result string }]
	if w.get("/v1/actions").want(t, 200, &log); log.Items[0].Result != "0 new of 1 row; 29 cancelled by prune" {
		t.Errorf("%+v", log.Items[0])
	}
	got = given{}
	if w.postCSV("/v1/batches?batch=b&prune=29", sheet(all[0])).want(t, 202, &got); got.Pruned != 0 || got.NotPruned != "" {
		t.Errorf("the same again: %+v", got)
	}
	rejects := "server,token,ref,problem\n1,t,x,was wrong\n"
	w.postCSV("/v1/batches?batch=b&prune", rejects).want(t, 422, nil).says(t, "part of a file")
	// Even if an earlier row was corrected by hand, and its problem removed.
	lines := `{"server":"1","token":"t","ref":"x"}` + "\n" + `{"server":"1","token":"t","ref":"y","problem":"was wrong"}` + "\n"
	w.ask("POST", "/v1/batches?batch=b&prune=1", lines, "Content-Type", "application/x-ndjson").want(t, 422, nil).says(t, "part of a file")
	w.postCSV("/v1/batches?batch=b", sheet("1 t x")).want(t, 202, nil)
	w.ask("POST", "/v1/batches?batch=b&strict", lines, "Content-Type", "application/x-ndjson").want(t, 422, nil).says(t, "1 row was rejected")
}

// A switch is on under its bare name, as a flag is, and off with false alone.
func TestSwitches(t *testing.T) {
	w := newWorld(t)
	bad := sheet("1 t a", "x-y t b")
	w.postCSV("/v1/batches?batch=b&strict&notify", bad).want(t, 422, nil)
	w.postCSV("/v1/batches?batch=b&strict=yes", bad).want(t, 400, nil).says(t, "want nothing, true or false")
	w.postCSV("/v1/batches?batch=b&strict=false&notify=", bad).want(t, 202, nil)
}

// What is refused as a whole leaves no batch.
func TestRefusedBodyLeavesNoBatch(t *testing.T) {
	for name, c := range map[string]struct{ query, body, says string }{
		"no row":              {"", "", ""},
		"a header alone":      {"", "server,token\n", ""},
		"an unknown column":   {"", "server,token,colour\n1,t,red\n", "colour"},
		"compressed":          {"", "\x1f\x8b\x08\x00\x00\x00", ""},
		"strict":              {"&strict=true", sheet("1 t a", "x-y t b"), "nothing was enqueued"},
		"strict, bare":        {"&strict", sheet("1 t a", "x-y t b"), "nothing was enqueued"},
		"strict, an id twice": {"&strict=true", sheet("1 t a i", "1 t b i"), "nothing was enqueued"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.postCSV("/v1/batches?batch=b"+c.query, c.body).want(t, 422, nil).says(t, c.says)
			w.get("/v1/batches/b").want(t, 404, nil)
			if keys := w.rdb.Keys(t.Context(), "*:batch:*").Val(); len(keys) > 0 {
				t.Errorf("it left %v", keys)
			}
		})
	}
}

func TestCancelledBatchTakesNothingUntilItIsReopened(t *testing.T) {
	w := newWorld(t)
	rows := sheet("1 t a", "1 t b")
	w.postCSV("/v1/batches?batch=b", rows).want(t, 202, nil)
	w.postJSON("/v1/batches/b/cancel", "").want(t, 200, nil)
	w.postCSV("/v1/batches?batch=b", rows).want(t, 409, nil).says(t, "cancelled")
	w.postJSON("/v1/calls", `{"server":"1","token":"t","batch":"b"}`).want(t, 409, nil).says(t, "cancelled")
	w.postJSON("/v1/batches/b/reopen", "").want(t, 200, nil)
	var got given
	w.postCSV("/v1/batches?batch=b", rows).want(t, 202, &got)
	if want := (given{Rows: 2, Enqueued: 2}); got != want {
		t.Errorf("%+v", got)
	}
	var st status
	w.get("/v1/batches/b").want(t, 200, &st)
	if st.Total != 2 || st.Open != 2 || st.Cancelled != 0 {
		t.Errorf("%+v", st)
	}
}
