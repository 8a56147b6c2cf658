package rows

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// parser turns one line into the values of its columns.
type parser interface {
	// fields fills v from a line that is not blank and not too long. ended says
	// whether the line had a line end. For a row that says nothing it returns blankRow. With a
	// fault, v has the values that could be read, and the fault says if the chain is unknown.
	fields(line []byte, ended bool, v *values) *RowError
	// shape is how the file writes its rows, nil for JSON Lines.
	shape() *Shape
}

// Read reads a file row by row. Each step yields a Row and nil, or a *RowError,
// or at the very end a *FileError. The Row of a *RowError has its line, what is
// known of its file and, if they are known, its token and chain.
//
// Blank lines are skipped, but counted. name is what errors call the file; under
// Auto, its extension tells the format. A byte order mark tells the encoding;
// without one it is e. A file without rows is a *FileError, with a header or
// without, in both formats.
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
		// Room for the longest good line with CR LF, and one more byte: a buffer
		// that is full without a line's end is a line too long.
		lines := &lineReader{br: bufio.NewReaderSize(text, MaxLine+3)}
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
				var isRow bool
				if p, isRow, err = begin(line, lines.line, name, f, script, &sep); err != nil {
					yield(Row{}, err)
					return
				}
				if !isRow {
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

// FromRejects reports whether a file's rows come from a rejects file, before a run over them. It
// reads one row of CSV, and JSON Lines up to the first row that has the member problem.
func FromRejects(file iter.Seq2[Row, error]) bool {
	for row := range file {
		if row.FromRejects || row.Shape != nil {
			return row.FromRejects
		}
	}
	return false
}

const unreadable = "can't be read"

// begin picks the parser by the first line that isn't blank. p is nil after a line of CSV that has only separators, or
// that names the separator as Excel does; then it sets sep.
func begin(line []byte, n int, name string, f Format, s script, sep *byte) (p parser, isRow bool, err error) {
	if detect(line, name, f) == JSONLines {
		if bytes.TrimLeft(line, " \t")[0] == '[' {
			return nil, false, &FileError{File: name, Line: n,
				Problem: "is a JSON array; JSON Lines has one object on each line (`jq -c '.[]'` makes them)"}
		}
		return &jsonLines{script: s}, true, nil
	}
	if names := "sep="; *sep == 0 && len(line) >= len(names) && strings.EqualFold(string(line[:len(names)]), names) {
		if rest := line[len(names):]; len(rest) == 1 && strings.IndexByte(separators, rest[0]) >= 0 {
			*sep = rest[0]
			return nil, false, nil
		}
		return nil, false, &FileError{File: name, Line: n, Problem: `the separator that "sep=" names must be a comma, a semicolon or a tab`}
	}
	if len(bytes.Trim(line, separators+" ")) == 0 {
		return nil, false, nil
	}
	csv, bad := parseHeader(line, s, *sep)
	if bad != nil {
		return nil, false, &FileError{File: name, Line: n, Problem: bad.Problem, BadText: bad.BadText}
	}
	return csv, false, nil
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

// noText refuses a file that is not text, by its first line.
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

// Encoding is how a file's bytes stand for characters. A byte order mark at the
// file's beginning wins over it.
type Encoding string

const (
	// UTF8 is the default.
	UTF8 Encoding = "utf-8"
	// Windows1252 is what Excel for Windows writes as plain "CSV" in the west.
	// ISO 8859-1 is read as Windows-1252, as browsers do.
	Windows1252 Encoding = "windows-1252"
)

// ErrEncoding says that an encoding isn't known.
var ErrEncoding = errors.New("is not one of utf-8, windows-1252")

// ParseEncoding reads an encoding's name, in any case. "" is UTF8. UTF-16 needs no
// name of its own, since its mark tells it. The error is ErrEncoding.
func ParseEncoding(name string) (Encoding, error) {
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8", "us-ascii", "utf-16":
		return UTF8, nil
	case "windows-1252", "cp1252", "iso-8859-1", "latin1":
		return Windows1252, nil
	}
	return UTF8, ErrEncoding
}

// script is how the bytes of a file became UTF-8.
type script struct {
	name    string
	decoded bool // what could not be read is U+FFFD now
}

// bad reports whether b has bytes that stood for no character.
func (s script) bad(b []byte) bool {
	return !utf8.Valid(b) || s.decoded && bytes.ContainsRune(b, utf8.RuneError)
}

func (s script) problem() string { return "is not valid " + s.name }

// ofRejects is the script of a rejects file: its rows may come from a file that was decoded.
func (s script) ofRejects() script {
	if s.decoded {
		return s
	}
	return script{"UTF-8, or has U+FFFD in it, which stands for a character that was lost", true}
}

// decode looks at the first bytes of r. The reader that it returns gives UTF-8
// without a byte order mark. An error is r's.
func decode(r io.Reader, e Encoding) (io.Reader, script, error) {
	br := bufio.NewReader(r)
	mark, err := br.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, script{}, err
	}
	var enc encoding.Encoding
	s := script{name: "UTF-8"}
	switch {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		_, err = br.Discard(3)
		return br, s, err
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")): // the mark says the order, too
		enc, s = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), script{"UTF-16", true}
	case e == Windows1252:
		enc, s = charmap.Windows1252, script{"Windows-1252", true}
	default:
		return br, s, nil
	}
	return enc.NewDecoder().Reader(br), s, nil
}

// Advice says what to do about a file that is not valid UTF-8. how says how to ask for
// Windows-1252.
func Advice(how string) string {
	return fmt.Sprintf("save the file as UTF-8 (or %s, if it was saved by Excel as plain CSV)", how)
}

// lineReader gives the physical lines of a file, and no more than MaxLine+1
// bytes of any of them, in constant memory.
type lineReader struct {
	br    *bufio.Reader
	line  int  // number of the line that next gave last
	ended bool // that line had an end; the last one of a file may have none
}

// next gives the next line without its ending (LF or CR LF), valid until the
// next call. A line longer than MaxLine comes as its first MaxLine+1 bytes. The
// error is io.EOF after the last line, or the reader's.
func (l *lineReader) next() ([]byte, error) {
	b, err := l.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		b = bytes.Clone(b) // more than MaxLine+1 bytes, even without a CR
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.br.ReadSlice('\n')
		}
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(b) == 0) {
		return nil, err // what was read of the line so far can't be trusted
	}
	l.line++
	l.ended = err == nil
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	return b[:min(len(b), MaxLine+1)], nil
}

// blank reports whether a line has nothing but ASCII white space.
func blank(b []byte) bool { return len(bytes.Trim(b, " \t\n\v\f\r")) == 0 }

// Keep copies what can be read only once into a file, so that it can be read twice. The file has mode 0600, because rows
// have tokens, and no name any more, so that none is left behind. It is at its start. Drop it. An error of the file is
// an *fs.PathError; others are those of from.
func Keep(from io.Reader) (f *os.File, size int64, err error) {
	if f, err = os.CreateTemp("", "habilita-*"); err != nil {
		return nil, 0, err
	}
	_ = os.Remove(f.Name())
	if size, err = io.Copy(f, from); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		Drop(f)
		return nil, 0, err
	}
	return f, size, nil
}

// Drop closes a file of Keep, and removes it from systems that refuse that while it is open.
func Drop(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
