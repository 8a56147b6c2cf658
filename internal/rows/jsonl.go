package rows

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// HalfSurrogateProblem is what is wrong with a text of which HalfSurrogate is true.
const HalfSurrogateProblem = `has half a surrogate pair, such as \ud800 alone, which is no character`

// jsonLines parses one flat object a line.
type jsonLines struct{ script script }

func (jsonLines) shape() *Shape { return nil }

func (p jsonLines) fields(line []byte, _ bool, v *values) *RowError {
	badText := p.script.bad(line)
	scan := objectScanner{s: string(line)}
	if !scan.take('{') {
		return &RowError{Field: rowField, Problem: "is not a JSON object", BadText: badText}
	}
	var seen [numColumns]bool
	var unknown string
	var bad *RowError // the first
	chainUnknown := false
	// fail notes what is wrong with a member, which then says nothing.
	fail := func(col column, f *RowError) {
		v[col] = ""
		chainUnknown = chainUnknown || col == colChain
		if bad == nil {
			bad = f
		}
	}
	for scan.member() {
		col, ok := columnNamed(scan.key)
		illegible := badText && p.script.bad(line[scan.start:scan.i])
		switch {
		case !ok:
			unknown = cmp.Or(scan.key, "?")
			if scan.half {
				bad = cmp.Or(bad, faultOf(rowField, HalfSurrogateProblem))
			}
		case illegible:
			fail(col, &RowError{Field: columnNames[col], Problem: p.script.problem(), BadText: true})
		case scan.half:
			fail(col, faultOf(columnNames[col], HalfSurrogateProblem))
		case seen[col]:
			fail(col, faultOf(rowField, "names "+twice(col)))
		case col == colProblem:
			v[col] = columnNames[col] // whatever it says
		case scan.kind == kindText:
			v[col] = scan.text
		case scan.kind == kindNumber:
			v[col] = scan.text
			switch n, whole := Integer(scan.text); {
			case col == colLicenses && whole:
				v[col] = strconv.Itoa(n) // 5.0 is 5
			case col == colToken:
				fail(col, faultOf(columnNames[col], "must be text in quotes"))
			case (col == colID || col == colChain) && !wholeNumber(scan.text):
				// 1e3 and 5.0 are 1000 and 5 to some programs, and not to others.
				fail(col, faultOf(columnNames[col], "must be text in quotes, or a whole number in plain digits"))
			}
		case scan.kind != kindNull:
			fail(col, faultOf(columnNames[col], "is neither text nor a number"))
		}
		if ok {
			seen[col] = true
		}
		scan.half = false
	}
	switch {
	case bad != nil:
	case badText:
		bad = &RowError{Field: rowField, Problem: p.script.problem(), BadText: true}
	case scan.problem != "":
		bad = faultOf(rowField, scan.problem)
	case wordLike(unknown) && seen[colToken]:
		bad = faultOf(rowField, fmt.Sprintf("has an unknown field %q; the fields are %s", unknown, knownColumns))
	case unknown != "" && seen[colToken]:
		bad = faultOf(rowField, "has an unknown field; the fields are "+knownColumns)
	case unknown != "":
		// There is no token, so no name that could be one is shown.
		bad = faultOf(rowField, "has an unknown field and no token; the fields are "+knownColumns)
	case seen == noteMembers:
		return noteRow
	default:
		return nil
	}
	bad.ChainUnknown = chainUnknown || unknown != "" || scan.problem != "" && !seen[colChain]
	return bad
}

// noteMembers are the members of a line that says what is wrong with the next one.
var noteMembers = [numColumns]bool{colProblem: true}

// wholeNumber tells whether a JSON number is one without point and exponent.
func wholeNumber(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (i > 0 || s[i] != '-') {
			return false
		}
	}
	return s != "-0"
}

type valueKind int

const (
	kindText valueKind = iota
	kindNumber
	kindBool
	kindNull
)

// objectScanner reads a flat JSON object member by member. It takes what
// encoding/json takes, refuses nested values, and makes no garbage: texts are
// parts of s unless they have escapes. encoding/json itself takes eight times as long.
//
//	if scan.take('{') {
//		for scan.member() { use(scan.key, scan.kind, scan.text) }
//	}
//	if scan.problem != "" { it was none }
type objectScanner struct {
	s       string
	i       int
	started bool // a member was read

	start   int // where the value that was read last begins
	key     string
	kind    valueKind
	text    string // of a text or a number
	half    bool   // the member has half a surrogate pair in it, which is no character
	problem string
}

// member reads the next member; false at the end of the object or on a problem.
func (o *objectScanner) member() bool {
	if o.take('}') {
		if o.space(); o.i < len(o.s) {
			o.problem = "has text behind its JSON object"
		}
		return false
	}
	ok := !o.started || o.take(',')
	o.started = true
	if ok {
		o.key, ok = o.str()
	}
	if !ok || !o.take(':') {
		return o.broken()
	}
	o.space()
	o.start = o.i
	return o.value()
}

func (o *objectScanner) broken() bool {
	o.problem = fmt.Sprintf("is broken JSON, at byte %d", o.i+1)
	return false
}

func (o *objectScanner) space() {
	for o.i < len(o.s) && (o.s[o.i] == ' ' || o.s[o.i] == '\t' || o.s[o.i] == '\r' || o.s[o.i] == '\n') {
		o.i++
	}
}

// take reads a character, behind white space.
func (o *objectScanner) take(c byte) bool {
	if o.space(); o.i < len(o.s) && o.s[o.i] == c {
		o.i++
		return true
	}
	return false
}

func (o *objectScanner) value() (ok bool) {
	rest := o.s[o.i:]
	number := func() string { return rest[:len(rest)-len(strings.TrimLeft(rest, "+-.eE0123456789"))] }
	switch {
	case strings.HasPrefix(rest, `"`):
		o.kind = kindText
		if o.text, ok = o.str(); !ok {
			return o.broken()
		}
	case json.Valid([]byte(number())):
		o.kind, o.text = kindNumber, number()
		o.i += len(o.text)
	case strings.HasPrefix(rest, "{"), strings.HasPrefix(rest, "["):
		o.problem = "has a nested value; a row is one flat JSON object"
		return false
	case strings.HasPrefix(rest, "null"), strings.HasPrefix(rest, "true"):
		o.kind = kindBool
		if rest[0] == 'n' {
			o.kind = kindNull
		}
		o.i += len("null")
	case strings.HasPrefix(rest, "false"):
		o.kind = kindBool
		o.i += len("false")
	default:
		return o.broken()
	}
	return true
}

// str reads a text in quotes.
func (o *objectScanner) str() (string, bool) {
	if !o.take('"') {
		return "", false
	}
	start, escaped := o.i, false
	for ; o.i < len(o.s); o.i++ {
		switch c := o.s[o.i]; {
		case c == '\\':
			escaped = true
			o.i++
		case c < ' ':
			return "", false
		case c == '"':
			text := o.s[start:o.i]
			o.i++
			if !escaped {
				return text, true
			}
			var out string
			o.half = o.half || HalfSurrogate(text)
			err := json.Unmarshal([]byte(o.s[start-1:o.i]), &out)
			return out, err == nil
		}
	}
	return "", false
}

// HalfSurrogate reports whether JSON's text has an escape such as \ud800 without its other
// half. encoding/json makes U+FFFD of it, so that two texts that differ would be the same.
func HalfSurrogate(s string) bool {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			return false
		}
		if s = s[i:]; s[1] != 'u' {
			s = s[2:]
			continue
		}
		r := escaped(s)
		if s = s[2:]; !utf16.IsSurrogate(r) {
			continue
		}
		if len(s) < 4 || utf16.DecodeRune(r, escaped(s[4:])) == unicode.ReplacementChar {
			return true
		}
		s = s[4+2:]
	}
}

// escaped is the number of the escape \uXXXX that s begins with; -1 if there is none.
func escaped(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// Integer is a number of JSON that is an integer, as JSON Schema has it: 5, 5.0 and 50e-1.
func Integer(number string) (int, bool) {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}
