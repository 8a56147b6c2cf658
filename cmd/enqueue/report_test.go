package main

import (
	"bufio"
	"strings"
	"testing"

	"habilita/internal/control"
)

// A report must not make a system call for each row.
func TestReportIsWrittenInLargePieces(t *testing.T) {
	for _, format := range []string{"csv", "jsonl"} {
		t.Run(format, func(t *testing.T) {
			var out pieces
			const rows = 1000
			calls := func(yield func(control.CallRecord, error) bool) {
				for range rows {
					if !yield(control.CallRecord{ID: "id"}, nil) {
						return
					}
				}
			}
			if err := writeReport(&out, calls, format, false, nil); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(out.text.String(), "id,") + strings.Count(out.text.String(), `"id":"id"`); n < rows {
				t.Errorf("%d rows", n)
			}
			if most := out.text.Len()/bufio.NewWriter(nil).Size() + 1; out.writes > most {
				t.Errorf("%d writes for %d bytes, want %d at most", out.writes, out.text.Len(), most)
			}
		})
	}
}

// pieces counts the writes to it.
type pieces struct {
	text   strings.Builder
	writes int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.writes++
	return p.text.Write(b)
}
