package intake

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
	// fields fills v from a line that is not blank and not too long.
	fields(line []byte, v *values) *fault
	// header is the header line, nil where the format has none.
	header() []byte
}

// Rows reads a file row by row. Each step yields a Row and nil, or a *RowError
// (with a Row that has nothing but its line), or at the very end a *FileError.
// Blank lines are passed over, and counted. name is what errors call the file
// and, under Auto, what tells the format by its extension.
//
// Nothing is read before the range begins; the range may end at any row. The
// sequence can be ranged over once, since it uses up r.
func Rows(r io.Reader, name string, f Format, c Checks) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		lines := newLineReader(r)
		check := newChecker(c)
		var p parser
		for {
			line, err := lines.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(Row{}, &FileError{File: name, Line: lines.line + 1, Problem: "can't be read", Err: err})
				return
			}
			if lines.line == 1 {
				if line, err = firstLine(line, name); err != nil {
					yield(Row{}, err)
					return
				}
			}
			if blank(line) {
				continue
			}
			if p == nil {
				var isHeader bool
				if p, isHeader, err = begin(line, lines.line, name, f); err != nil {
					yield(Row{}, err)
					return
				}
				if isHeader {
					continue
				}
			}
			row, bad := check.line(p, line)
			row.Line = lines.line
			var rowErr error
			if bad != nil {
				rowErr = &RowError{
					File: name, Line: lines.line, Field: bad.field, Problem: bad.problem,
					Raw: bytes.Clone(line), Header: p.header(),
				}
			}
			if !yield(row, rowErr) {
				return
			}
		}
		if p == nil && detect(nil, name, f) == CSV {
			yield(Row{}, &FileError{File: name, Problem: "is empty: the first line must name the columns, such as server,token"})
		}
	}
}

// begin picks the parser by the first line that isn't blank.
func begin(line []byte, n int, name string, f Format) (p parser, isHeader bool, err error) {
	if detect(line, name, f) == JSONLines {
		if bytes.TrimLeft(line, " \t")[0] == '[' {
			return nil, false, &FileError{File: name, Line: n,
				Problem: "is a JSON array; JSON Lines has one object on each line (`jq -c '.[]'` makes them)"}
		}
		return jsonLines{}, false, nil
	}
	csv, problem := parseHeader(line)
	if problem != "" {
		return nil, false, &FileError{File: name, Line: n, Problem: problem}
	}
	return csv, true, nil
}

// detect tells the format by what was asked for, the first line (nil: there is
// none) and the file's name.
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

// firstLine drops a byte order mark, and refuses what is no text file.
func firstLine(line []byte, name string) ([]byte, error) {
	problem := ""
	switch {
	case bytes.HasPrefix(line, []byte("\xff\xfe")), bytes.HasPrefix(line, []byte("\xfe\xff")):
		problem = "is UTF-16; save it as UTF-8 (in Excel: \"CSV UTF-8\")"
	case bytes.HasPrefix(line, []byte("PK\x03\x04")):
		problem = "is a zip archive or an Excel workbook; save the sheet as CSV UTF-8"
	case bytes.HasPrefix(line, []byte("\x1f\x8b")):
		problem = "is compressed; unpack it first (`gzip -dc FILE | ... -`)"
	case bytes.IndexByte(line, 0) >= 0:
		problem = "has zero bytes in its first line: it is UTF-16 or no text; save it as UTF-8"
	}
	if problem != "" {
		return nil, &FileError{File: name, Line: 1, Problem: problem}
	}
	return bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), nil
}

// fault is what is wrong with a row, before it has a file and a line.
type fault struct{ field, problem string }

// tooLong is the fault of every line over MaxLine.
var tooLong = &fault{rowField, fmt.Sprintf("is longer than %d KiB", MaxLine>>10)}
