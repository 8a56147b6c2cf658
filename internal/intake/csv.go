package intake

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// csvParser splits the lines under one header.
type csvParser struct {
	raw     []byte // the header line
	sep     byte
	columns []column
	split   []string // of the last line, for its room
}

func (p *csvParser) header() []byte { return p.raw }

// parseHeader reads the header line; problem is "" where it is good.
func parseHeader(line []byte) (p *csvParser, problem string) {
	switch {
	case len(line) > MaxLine:
		return nil, fmt.Sprintf("the header is longer than %d KiB", MaxLine>>10)
	case !utf8.Valid(line):
		return nil, "the header is not valid UTF-8; save the file as UTF-8"
	case bytes.IndexByte(line, '\r') >= 0:
		return nil, "lines end in CR alone; save the file with LF or CR LF"
	}
	p = &csvParser{raw: bytes.Clone(line), sep: separator(line)}
	names, problem := splitCSV(string(line), p.sep, nil)
	if problem != "" {
		return nil, "the header " + problem
	}
	var seen [numColumns]bool
	var unknown []int
	for i, name := range names {
		col, ok := columnNamed(strings.TrimSpace(name))
		switch {
		case !ok:
			unknown = append(unknown, i)
		case seen[col]:
			return nil, fmt.Sprintf("the header names the column %q twice", columnNames[col])
		default:
			seen[col] = true
		}
		p.columns = append(p.columns, col)
	}
	if problem := headerProblem(names, unknown, &seen); problem != "" {
		return nil, problem
	}
	return p, ""
}

// headerProblem says what is wrong with the names of the columns. Without both
// server and token the line may be no header but a row, so it isn't shown.
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

// separator is the one that the header has.
func separator(line []byte) byte {
	for _, sep := range []byte{',', ';', '\t'} {
		if bytes.IndexByte(line, sep) >= 0 {
			return sep
		}
	}
	return ','
}

func (p *csvParser) fields(line []byte, v *values) *fault {
	valid := utf8.Valid(line)
	split, problem := splitCSV(string(line), p.sep, p.split[:0])
	p.split = split
	switch n := len(p.columns); {
	case problem != "" && !valid:
		return &fault{rowField, notUTF8}
	case problem != "":
		return &fault{rowField, problem}
	case len(split) < n:
		return &fault{columnNames[p.columns[len(split)]],
			fmt.Sprintf("is missing: the row has %d fields, the header %d", len(split), n)}
	case len(split) > n:
		return &fault{rowField, fmt.Sprintf("has a surplus field: it has %d, the header %d", len(split), n)}
	}
	for i, s := range split {
		if !valid && !utf8.ValidString(s) {
			return &fault{columnNames[p.columns[i]], notUTF8}
		}
		v[p.columns[i]] = s
	}
	return nil
}

// splitCSV splits one line by the rules of RFC 4180, save that no field has a
// line break. The fields are appended to dst. On a problem they are of no use.
func splitCSV(s string, sep byte, dst []string) (fields []string, problem string) {
	if strings.IndexByte(s, '"') < 0 {
		for {
			i := strings.IndexByte(s, sep)
			if i < 0 {
				return append(dst, s), ""
			}
			dst, s = append(dst, s[:i]), s[i+1:]
		}
	}
	for {
		var field string
		if strings.HasPrefix(s, `"`) {
			end := closingQuote(s)
			if end < 0 {
				return dst, "has a quote that is not closed on its line"
			}
			field, s = strings.ReplaceAll(s[1:end], `""`, `"`), s[end+1:]
			if s != "" && s[0] != sep {
				return dst, "has text behind a closing quote"
			}
		} else {
			end := strings.IndexByte(s, sep)
			if end < 0 {
				end = len(s)
			}
			field, s = s[:end], s[end:]
			if strings.IndexByte(field, '"') >= 0 {
				return dst, `has a quote inside a field that does not begin with one (write "" inside quotes)`
			}
		}
		dst = append(dst, field)
		if s == "" {
			return dst, ""
		}
		s = s[1:]
	}
}

// closingQuote finds the end of the quoted field that s begins with, or -1.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i
	}
	return -1
}
