package rows

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"
)

const (
	// MaxLine is the longest line that is read, in bytes without its ending.
	MaxLine = 64 << 10
	// MaxLicenses is the highest number of licences that a row may give.
	MaxLicenses = 1_000_000
	// MaxRef is the longest ref, in characters.
	MaxRef = 256
	// MaxName is the longest chain or id, in bytes.
	MaxName = 128
)

// Row is one operation as it stands in the file. It prints without its token.
type Row struct {
	Line     int    // physical line, the first is 1
	Server   string // in its canonical form
	Token    string `json:"-"` // secret
	Licenses int    // 1 to MaxLicenses; 0: not given
	Chain    string // 1 to MaxName printable ASCII characters without spaces; "": not given
	Ref      string // up to MaxRef characters of UTF-8 without control characters; "": not given
	ID       string // like Chain
	// FromRejects says that the row comes from a rejects file: it has a column, or a member,
	// problem, whatever that says.
	FromRejects bool
	// Shape is how its file writes the row, for Rejects.AddRow; nil for JSON Lines.
	Shape *Shape `json:"-"`

	server string // as the file has it, for Rejects.AddRow
}

// Shape is how a CSV file writes its rows.
type Shape struct {
	header  []byte // the line
	sep     byte
	columns []column
}

// Format writes the row without its token, under every verb.
func (r Row) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "line %d: server %q, licenses %d, chain %q, ref %q, id %q",
		r.Line, r.Server, r.Licenses, r.Chain, r.Ref, r.ID)
}

// RowError says what is wrong with one row. The rows after it are not affected.
type RowError struct {
	File    string // as given to Read
	Line    int    // physical line, the first is 1
	Field   string // column; "row" where it is no single column's fault
	Problem string // never holds a value of the row
	// ChainUnknown says that the row's chain can't be told, though its token can.
	ChainUnknown bool
	// BadText says that some of its bytes stand for no character: Advice says what to do.
	BadText bool
	// Raw is the line without its ending; of a line over MaxLine its first
	// MaxLine+1 bytes, so that it is too long when it is read again. Secret.
	Raw []byte `json:"-"`
	// Shape is how its file writes the row; nil for JSON Lines.
	Shape *Shape `json:"-"`

	cutOff bool // the file may have been cut off in this row
}

// Error is "FILE:LINE: FIELD: what is wrong".
func (e *RowError) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Field, e.Problem)
}

// Format writes Error's text under every verb, so that Raw is never printed.
func (e *RowError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// FileError says why a file can't be read, or not to its end. It is the last
// thing that Read yields.
type FileError struct {
	File    string // as given to Read
	Line    int    // physical line; 0: it is no line's fault
	Problem string // with a hint at what to do
	BadText bool   // as of RowError
	Err     error  // what the reader answered; nil for a fault of the content
}

// Error is "FILE:LINE: what is wrong".
func (e *FileError) Error() string {
	s := e.File
	if e.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, e.Line)
	}
	s += ": " + e.Problem
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the reader's error.
func (e *FileError) Unwrap() error { return e.Err }

// Format is a file format.
type Format string

const (
	// Auto goes by the file's name (.csv, .tsv; .jsonl, .ndjson, .json) and, for
	// any other name, by the content: JSON Lines begin with '{'. A file that
	// begins with '{' is JSON Lines under every name.
	Auto Format = "auto"
	// CSV has a header, and comma, semicolon or tab between its fields.
	CSV Format = "csv"
	// JSONLines has one flat object on each line.
	JSONLines Format = "jsonl"
)

const maxStem = 64

// BatchName is the default name of a file's batch: the file's name without folder and
// extension. Anything but a letter or a digit of some script, '.', '_' or '-' becomes '-', and a
// long name is cut to 64 characters.
func BatchName(path string) string {
	base := filepath.Base(path)
	switch ext := filepath.Ext(base); strings.ToLower(ext) {
	case ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json":
		base = strings.TrimSuffix(base, ext)
	}
	clean := []rune(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune("._-", r) {
			return '-'
		}
		return r
	}, norm.NFC.String(base))) // some systems write an accent as a character of its own
	name := strings.Trim(string(clean[:min(len(clean), maxStem)]), "-.")
	if name == "" {
		return "batch"
	}
	return name
}

// rejects reports whether the file is a rejects file.
func (s *Shape) rejects() bool { return s != nil && slices.Contains(s.columns, colProblem) }

// heading is the header of a rejects file.
func (s *Shape) heading() []byte {
	if s.rejects() {
		return s.header
	}
	return append(append(bytes.Clone(s.header), s.sep), columnNames[colProblem]...)
}

// spoilt returns the line of a bad row, with what is wrong with it. It is still a bad row: one that
// may be cut off loses its token, which may be half of one.
func (e *RowError) spoilt() []byte {
	s, line, problem := e.Shape, e.Raw, e.Field+": "+e.Problem
	if s == nil {
		return withMember(line, problem)
	}
	fields, broken := newSplitter(s.sep).split(string(line))
	if broken == "" && len(fields) <= len(s.columns) {
		// Missing fields become empty ones: the problem must not be read as one of them.
		fields = append(fields, make([]string, len(s.columns)-len(fields))...)
		if e.cutOff {
			fields[slices.Index(s.columns, colToken)] = ""
		}
		return s.join(fields, problem)
	}
	// It can't be told which field is which.
	return append(append(bytes.Clone(line), s.sep), s.quote(problem)...)
}

// row returns a row as its file writes it, with what is wrong with it.
func (s *Shape) row(row Row, problem string) []byte {
	var v values
	v[colServer], v[colToken], v[colChain], v[colRef], v[colID] = cmp.Or(row.server, row.Server), row.Token, row.Chain, row.Ref, row.ID
	if row.Licenses > 0 {
		v[colLicenses] = strconv.Itoa(row.Licenses)
	}
	if s == nil {
		v[colProblem] = problem
		return object(v)
	}
	fields := make([]string, len(s.columns))
	for i, col := range s.columns {
		fields[i] = v[col]
	}
	return s.join(fields, problem)
}

// join writes the fields of all columns, and the problem in its own.
func (s *Shape) join(fields []string, problem string) []byte {
	at := slices.Index(s.columns, colProblem)
	if at < 0 {
		at, fields = len(fields), append(fields, "")
	}
	fields[at] = problem
	for i, f := range fields {
		fields[i] = s.quote(f)
	}
	return []byte(strings.Join(fields, string(s.sep)))
}

func (s *Shape) quote(field string) string {
	if strings.IndexByte(field, s.sep) < 0 && strings.IndexByte(field, '"') < 0 {
		return field
	}
	return `"` + strings.ReplaceAll(field, `"`, `""`) + `"`
}

// object writes the values that are there as JSON Lines.
func object(v values) []byte {
	out := []byte("{")
	for col, text := range v {
		if text == "" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, jsonText(columnNames[col])...)
		out = append(append(out, ':'), jsonText(text)...)
	}
	return append(out, '}')
}

// withMember sets the member "problem" of a line of JSON Lines. If the line is not an
// object, withMember puts a line with only the problem before it.
func withMember(line []byte, problem string) []byte {
	var scan objectScanner
	if !scan.begin(line) {
		return noteBefore(line, problem)
	}
	has, from, to := false, 0, 0
	for scan.member() {
		if col, ok := columnNamed(scan.key); ok && col == colProblem && !has {
			has, from, to = true, scan.start, scan.end
		}
	}
	end := bytes.LastIndexByte(line, '}')
	switch {
	case scan.problem != "":
		return noteBefore(line, problem)
	case has:
		return slices.Concat(line[:from], jsonText(problem), line[to:])
	}
	member := append(append(jsonText(columnNames[colProblem]), ':'), jsonText(problem)...)
	if body := bytes.TrimSpace(line[:end]); len(body) > 1 {
		member = append([]byte(","), member...)
	}
	return slices.Concat(line[:end], member, line[end:])
}

func noteBefore(line []byte, problem string) []byte {
	var note values
	note[colProblem] = "the next line: " + problem
	return append(append(object(note), '\n'), line...)
}

// jsonText is a text in quotes. Our texts are valid UTF-8, so there is no error.
func jsonText(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, s)
	return b
}
