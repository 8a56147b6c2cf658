package control_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"habilita/internal/control"
)

func TestGuard(t *testing.T) {
	for in, want := range map[string]string{
		"=1": "'=1", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\t=1": "'\t=1", "\r": "'\r", "\n=": "'\n=",
		"a=1": "a=1", "": "", "'": "'", "'a": "'a", "'=1": "''=1", "''-": "'''-", " =1": " =1",
	} {
		if got := control.GuardFormula(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// What is read back is what was written, once one apostrophe is dropped.
func TestGuardedCellsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := rapid.StringMatching(`['=+\-@a;,"ñ]{0,6}`).Draw(t, "ref")
		excel := rapid.Bool().Draw(t, "excel")
		var out bytes.Buffer
		w, err := control.NewCSV(&out, excel)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(control.CallRecord{ID: "id", Ref: ref}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		text, marked := strings.CutPrefix(out.String(), "\ufeff")
		r := csv.NewReader(strings.NewReader(text))
		if excel {
			r.Comma = ';'
		}
		rows, err := r.ReadAll()
		if err != nil || marked != excel || len(rows) != 2 || len(rows[1]) != len(control.Columns()) {
			t.Fatalf("%q: %v", out.String(), err)
		}
		got := rows[1][3]
		if got != "" && strings.ContainsRune("=+-@\t\r\n", rune(got[0])) {
			t.Errorf("%q is a formula", got)
		}
		if t := strings.TrimLeft(got, "'"); t != got && t != "" && strings.ContainsRune("=+-@", rune(t[0])) {
			got = got[1:]
		}
		if got != ref {
			t.Errorf("%q was read as %q", ref, got)
		}
	})
}
