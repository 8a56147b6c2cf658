package rows

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// rejects tells whether the file is a rejects file.
func (s *Shape) rejects() bool { return s != nil && slices.Contains(s.columns, colProblem) }

// heading is the header of a rejects file.
func (s *Shape) heading() []byte {
	if s.rejects() {
		return s.header
	}
	return append(append(bytes.Clone(s.header), s.sep), columnNames[colProblem]...)
}

// spoilt is a line that is no row, with what is wrong with it. It stays no row.
func (s *Shape) spoilt(line []byte, problem string) []byte {
	if s == nil {
		return withMember(line, problem)
	}
	fields, broken := newSplitter(s.sep).split(string(line))
	if broken == "" && len(fields) <= len(s.columns) {
		// Fields that it lacks are empty ones: the problem must not be read as one of them.
		fields = append(fields, make([]string, len(s.columns)-len(fields))...)
		return s.join(fields, problem)
	}
	// It can't be told which field is which.
	return append(append(bytes.Clone(line), s.sep), s.quote(problem)...)
}

// row is a row, with what is wrong with it.
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

// withMember puts the member problem into a line of JSON Lines, in the place of the one that
// it has. A line that is no object stays as it is, and a line with the problem alone comes
// before it.
func withMember(line []byte, problem string) []byte {
	scan := objectScanner{s: string(line)}
	if !scan.begin() {
		return noteBefore(line, problem)
	}
	has, from, to := false, 0, 0
	for scan.member() {
		if col, ok := columnNamed(scan.key); ok && col == colProblem && !has {
			has, from, to = true, scan.start, scan.i
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

// jsonText is a text in quotes. Bytes that are no UTF-8 are no text of ours.
func jsonText(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string never fails
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
