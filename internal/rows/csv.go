package rows

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// csvParser splits the lines under one header.
type csvParser struct {
	Shape
	*splitter
	script script
}

func (p *csvParser) shape() *Shape { return &p.Shape }

// parseHeader reads the header line. sep is the separator, or 0 if no line named it.
func parseHeader(line []byte, s script, sep byte) (p *csvParser, bad *RowError) {
	fail := func(problem string) (*csvParser, *RowError) { return nil, faultOf(rowField, problem) }
	switch {
	case len(line) > MaxLine:
		return fail(fmt.Sprintf("the header is longer than %d KiB", MaxLine>>10))
	case s.bad(line):
		return nil, &RowError{Field: rowField, Problem: "the header " + s.problem(), BadText: true}
	case bytes.IndexByte(line, '\r') >= 0:
		return fail("lines end in CR alone; save the file with LF or CR LF")
	}
	sep = cmp.Or(sep, separator(line))
	p = &csvParser{script: s, splitter: newSplitter(sep), Shape: Shape{header: bytes.Clone(line), sep: sep}}
	names, problem := p.split(string(line))
	if problem != "" {
		return fail("the header " + problem)
	}
	var seen [numColumns]bool
	var unknown []int
	for i, name := range names {
		col, ok := columnNamed(strings.TrimSpace(name))
		switch {
		case !ok:
			unknown = append(unknown, i)
		case seen[col]:
			return fail("the header names " + twice(col))
		default:
			seen[col] = true
		}
		p.columns = append(p.columns, col)
	}
	if problem := headerProblem(names, unknown, &seen); problem != "" {
		return fail(problem)
	}
	if p.rejects() {
		p.script = s.ofRejects()
	}
	return p, nil
}

// twice names a column that a header or a row has twice.
func twice(col column) string {
	if es := spanishNames[col]; es != "" {
		return fmt.Sprintf("the column %q twice (%s is the same in Spanish)", columnNames[col], es)
	}
	return fmt.Sprintf("the column %q twice", columnNames[col])
}

// headerProblem says what is wrong with the names of the columns. If server or token is
// missing, the line may be a row and not a header, so it isn't shown.
func headerProblem(names []string, unknown []int, seen *[numColumns]bool) string {
	switch {
	case len(unknown) == len(names):
		return "has no header: the first line must name the columns " + knownColumns
	case !seen[colServer] || !seen[colToken]:
		lacks := colServer
		if seen[colServer] {
			lacks = colToken
		}
		return fmt.Sprintf("the header lacks the column %q; the columns are %s", columnNames[lacks], knownColumns)
	case len(unknown) == 0:
		return ""
	}
	var what []string
	for _, i := range unknown {
		switch name := strings.TrimSpace(names[i]); {
		case wordLike(name):
			what = append(what, fmt.Sprintf("unknown column %q", name))
		case name != "":
			what = append(what, fmt.Sprintf("column %d is unknown", i+1))
		default:
			what = append(what, fmt.Sprintf("column %d has no name", i+1))
		}
	}
	return "the header: " + strings.Join(what, ", ") + "; the columns are " + knownColumns
}

// wordLike reports whether an unknown name may be shown: it looks like a word, and not like a
// token that got into the wrong place.
func wordLike(name string) bool {
	other := func(r rune) bool { return !unicode.IsLetter(r) && r != '_' && r != ' ' }
	return name != "" && len(name) <= 24 && utf8.ValidString(name) && !strings.ContainsFunc(name, other)
}

// separators are the separators that a file may have.
const separators = ",;\t"

// separator returns the separator that the header has.
func separator(line []byte) byte {
	for i := range len(separators) {
		if bytes.IndexByte(line, separators[i]) >= 0 {
			return separators[i]
		}
	}
	return ','
}

func (p *csvParser) fields(line []byte, ended bool, v *values) (f *RowError) {
	bad := p.script.bad(line)
	split, problem := p.split(string(line))
	n := len(p.columns)
	told := split // the fields whose columns are known
	if len(split) > n {
		told = split[:p.beforeSurplus()]
	}
	switch {
	case problem != "" && bad:
		f = &RowError{Field: rowField, Problem: p.script.problem(), BadText: true}
	case problem != "":
		f = faultOf(rowField, problem)
	case blankFields(split):
		return blankRow
	case len(split) > n:
		f = faultOf(rowField, fmt.Sprintf("has a surplus field: it has %d, the header %d", len(split), n))
	default:
		f = p.lacking(len(split), ended)
	}
	if f != nil {
		f.ChainUnknown = slices.Contains(p.columns[len(told):], colChain)
	}
	for i, s := range told {
		col := p.columns[i]
		if bad && col != colProblem && p.script.bad([]byte(s)) {
			if f == nil || !f.BadText {
				f = &RowError{Field: columnNames[col], Problem: p.script.problem(), BadText: true, ChainUnknown: f != nil && f.ChainUnknown}
			}
			f.ChainUnknown = f.ChainUnknown || col == colChain
			continue
		}
		v[col] = s
	}
	return f
}

// beforeSurplus is how many columns stand before the first whose value may have a separator in it
// without quotes: a text, or a number with a decimal comma.
func (p *csvParser) beforeSurplus() int {
	n := slices.IndexFunc(p.columns, func(c column) bool { return c == colRef || c == colLicenses || c == colProblem })
	if n < 0 {
		return len(p.columns)
	}
	return n
}

// lacking checks a row of n fields, which may be fewer than the header's. Spreadsheets
// leave out empty fields at a row's end, so only a required one is a fault. But a last line
// without a line end may be what is left of a longer one.
func (p *csvParser) lacking(n int, ended bool) *RowError {
	lacking := p.columns[n:]
	if i := slices.IndexFunc(lacking, column.required); i >= 0 {
		return faultOf(columnNames[lacking[i]], fmt.Sprintf("is missing: the row has %d fields, the header %d", n, len(p.columns)))
	}
	if len(lacking) > 0 && !ended {
		return &RowError{Field: columnNames[lacking[0]], cutOff: true,
			Problem: "is missing in the file's last line, which has no line end: the file may be cut off here (if it is whole, end the line)"}
	}
	return nil
}

func blankFields(fields []string) bool {
	return !slices.ContainsFunc(fields, func(s string) bool { return strings.TrimSpace(s) != "" })
}

// splitter splits lines by the rules of RFC 4180, except that no field has a line break.
type splitter struct {
	fields []string // of the last line that has no quotes
	line   strings.Reader
	csv    *csv.Reader
}

func newSplitter(sep byte) *splitter {
	s := &splitter{}
	s.csv = csv.NewReader(&s.line)
	s.csv.Comma, s.csv.FieldsPerRecord, s.csv.ReuseRecord = rune(sep), -1, true
	return s
}

// split returns the fields of a line that is not empty, valid until the next line. If there is a problem, they are the
// fields before it.
func (s *splitter) split(line string) (fields []string, problem string) {
	if strings.IndexByte(line, '"') < 0 { // nearly all lines: this is four times as fast
		s.fields = slices.AppendSeq(s.fields[:0], strings.SplitSeq(line, string(s.csv.Comma)))
		return s.fields, ""
	}
	s.line.Reset(line)
	fields, err := s.csv.Read()
	var bad *csv.ParseError
	switch {
	case err == nil:
	case errors.As(err, &bad) && bad.Err == csv.ErrBareQuote:
		problem = `has a quote inside a field that does not begin with one (write "" inside quotes)`
	case bad != nil && bad.Column <= len(line):
		problem = "has text behind a closing quote"
	default:
		problem = "has a quote that is not closed on its line"
	}
	return fields, problem
}
