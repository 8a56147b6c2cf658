package rows

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
)

// parser turns one line into the values of its columns.
type parser interface {
	// fields fills v from a line that is not blank and not too long. ended tells
	// whether the line had an end. A row that says nothing is blankRow. With a fault, v has the
	// values that can be told, and the fault says whether the chain can't.
	fields(line []byte, ended bool, v *values) *RowError
	// shape is how the file has its rows, nil for JSON Lines.
	shape() *Shape
}

// Read reads a file row by row. Each step yields a Row and nil, or a *RowError
// (with a Row that has its line, what is known of its file and, where they can be told, its
// token and chain), or at the very end a *FileError.
// Blank lines are passed over, and counted. name is what errors call the file
// and, under Auto, what tells the format by its extension. A byte order mark tells
// the encoding; without one it is e. A file
// without a row is a *FileError, with a header or without, in both formats.
//
// Nothing is read before the range begins; the range may end at any row. The
// sequence can be ranged over once, since it uses up r.
func Read(r io.Reader, name string, f Format, e Encoding) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		text, script, err := decode(r, e)
		if err != nil {
			yield(Row{}, &FileError{File: name, Line: 1, Problem: unreadable, Err: err})
			return
		}
		lines := newLineReader(text)
		var p parser
		var sep byte
		found, rejects := false, false
		for {
			line, err := lines.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(Row{}, &FileError{File: name, Line: lines.line + 1, Problem: unreadable, Err: err})
				return
			}
			if lines.line == 1 {
				if err = noText(line, name); err != nil {
					yield(Row{}, err)
					return
				}
			}
			if blank(line) {
				continue
			}
			if p == nil {
				if sep == 0 {
					if sep, err = sepLine(line, lines.line, name, f); err != nil {
						yield(Row{}, err)
						return
					}
					if sep != 0 {
						continue
					}
				}
				var isHeader bool
				if p, isHeader, err = begin(line, lines.line, name, f, script, sep); err != nil {
					yield(Row{}, err)
					return
				}
				if isHeader {
					continue
				}
			}
			row, bad := rowOf(p, line, lines.ended)
			if bad == noteRow {
				rejects = true
			}
			if bad == blankRow || bad == noteRow {
				continue
			}
			found = true
			rejects = rejects || row.FromRejects
			row.FromRejects = rejects
			row.Line, row.Shape = lines.line, p.shape()
			var rowErr error
			if bad != nil {
				e := *bad // one of a kind may be everybody's
				e.File, e.Line, e.Raw, e.Shape = name, row.Line, bytes.Clone(line), row.Shape
				rowErr = &e
			}
			if !yield(row, rowErr) {
				return
			}
		}
		if !found {
			yield(Row{}, &FileError{File: name, Problem: "has no rows"})
		}
	}
}

const unreadable = "can't be read"

// begin picks the parser by the first line that isn't blank. A line of CSV with
// separators alone is blank: p is nil.
func begin(line []byte, n int, name string, f Format, s script, sep byte) (p parser, isHeader bool, err error) {
	if detect(line, name, f) == JSONLines {
		if bytes.TrimLeft(line, " \t")[0] == '[' {
			return nil, false, &FileError{File: name, Line: n,
				Problem: "is a JSON array; JSON Lines has one object on each line (`jq -c '.[]'` makes them)"}
		}
		return jsonLines{s}, false, nil
	}
	if len(bytes.Trim(line, separators+" ")) == 0 {
		return nil, true, nil
	}
	csv, bad := parseHeader(line, s, sep)
	if bad != nil {
		return nil, false, &FileError{File: name, Line: n, Problem: bad.Problem, BadText: bad.BadText}
	}
	return csv, true, nil
}

// detect tells the format by what was asked for, the first line and the file's name.
func detect(line []byte, name string, f Format) Format {
	if f != Auto {
		return f
	}
	if t := bytes.TrimLeft(line, " \t"); len(t) > 0 && t[0] == '{' {
		return JSONLines
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jsonl", ".ndjson", ".json":
		return JSONLines
	default:
		return CSV
	}
}

// noText refuses what is no text file, by its first line.
func noText(line []byte, name string) error {
	problem := ""
	switch {
	case bytes.HasPrefix(line, []byte("PK\x03\x04")):
		problem = "is a zip archive or an Excel workbook; save the sheet as CSV UTF-8"
	case bytes.HasPrefix(line, []byte("\x1f\x8b")):
		problem = "is compressed; unpack it first (`gzip -dc FILE | ... -`)"
	case bytes.IndexByte(line, 0) >= 0:
		problem = "has zero bytes in its first line: it is UTF-16 without a byte order mark, or no text; save it as UTF-8"
	}
	if problem != "" {
		return &FileError{File: name, Line: 1, Problem: problem}
	}
	return nil
}

// faultOf is what is wrong with a row; Read adds which row it is.
func faultOf(field, problem string) *RowError { return &RowError{Field: field, Problem: problem} }

var (
	// tooLong is the fault of every line over MaxLine.
	tooLong = faultOf(rowField, fmt.Sprintf("is longer than %d KiB", MaxLine>>10))
	// blankRow is no fault: the row says nothing.
	blankRow = faultOf(rowField, "is blank")
	// noteRow is no fault: it says what is wrong with the next line of a rejects file.
	noteRow = faultOf(rowField, "is a note")
)
