package control

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// CSV writes CallRecords for people and their spreadsheets. It is the only writer of
// reports in CSV: of the command, HTTP, the pages and the results of a local run.
type CSV struct{ w *csv.Writer }

// NewCSV writes the header to w and returns a writer of records. excel begins with a byte
// order mark and separates by semicolons, as Excel reads it where a comma is in decimals.
// Flush it at the end. The error is w's.
func NewCSV(w io.Writer, excel bool) (*CSV, error) {
	c := &CSV{csv.NewWriter(w)}
	var err error
	if excel {
		c.w.Comma = ';'
		_, err = io.WriteString(w, "\ufeff")
	}
	return c, errors.Join(err, c.w.Write(Columns()))
}

// Write writes a record.
func (c *CSV) Write(r CallRecord) error {
	fields := Fields(r)
	for i := range fields {
		fields[i] = GuardFormula(fields[i])
	}
	return c.w.Write(fields)
}

// Flush hands what was written to the writer below. The error is its own.
func (c *CSV) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// GuardFormula puts an apostrophe before a text that a spreadsheet would take for a formula. A
// text that has apostrophes there already gets one more, so that dropping one gives the
// text back.
func GuardFormula(s string) string {
	if t := strings.TrimLeft(s, "'"); t != "" && strings.IndexByte("=+-@\t\r\n", t[0]) >= 0 {
		return "'" + s
	}
	return s
}
