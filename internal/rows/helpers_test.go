package rows

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// result is what a file gave.
type result struct {
	rows []Row
	bad  []*RowError
	file *FileError
}

func read(t testing.TB, name, content string, f Format, e Encoding) result {
	t.Helper()
	var res result
	for row, err := range Read(strings.NewReader(content), name, f, e) {
		var re *RowError
		switch {
		case res.file != nil:
			t.Fatal("something follows a FileError")
		case err == nil:
			res.rows = append(res.rows, row)
		case errors.As(err, &re):
			if re.Line != row.Line {
				t.Errorf("the row's line is %d, the error's %d", row.Line, re.Line)
			}
			res.bad = append(res.bad, re)
		case !errors.As(err, &res.file):
			t.Fatalf("an error of type %T: %v", err, err)
		}
	}
	return res
}

// faults are the errors' texts without the file's name.
func (r result) faults() []string {
	var out []string
	for _, e := range r.bad {
		out = append(out, strings.TrimPrefix(e.Error(), e.File+":"))
	}
	return out
}

// text is the rows, one a line, with their tokens.
func (r result) text() string {
	var b strings.Builder
	for _, w := range r.rows {
		fmt.Fprintf(&b, "%d %s %s %d %q %q %q\n", w.Line, strings.TrimSpace(w.server), w.Token, w.Licenses, w.Chain, w.Ref, w.ID)
	}
	return b.String()
}
