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
	if !scan.begin() {
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
// parts of s unless they have escapes.
//
//	if scan.begin() {
//		for scan.member() { use(scan.key, scan.kind, scan.text) }
//	}
//	if scan.problem != "" { it was none }
type objectScanner struct {
	s       string
	i       int
	started bool // a member was read
	done    bool

	start   int // where the value that was read last begins
	key     string
	kind    valueKind
	text    string // of a text or a number
	half    bool   // the member has half a surrogate pair in it, which is no character
	problem string
}

// begin tells whether s begins like an object.
func (o *objectScanner) begin() bool {
	o.space()
	return o.take('{')
}

// member reads the next member; false at the end of the object or on a problem.
func (o *objectScanner) member() bool {
	if o.done || o.problem != "" {
		return false
	}
	o.space()
	if o.take('}') {
		return o.end()
	}
	if o.started {
		if !o.take(',') {
			return o.broken()
		}
		o.space()
	}
	o.started = true
	key, ok := o.str()
	if !ok {
		return o.broken()
	}
	o.key = key
	o.space()
	if !o.take(':') {
		return o.broken()
	}
	o.space()
	o.start = o.i
	return o.value()
}

func (o *objectScanner) end() bool {
	o.done = true
	o.space()
	if o.i < len(o.s) {
		o.problem = "has text behind its JSON object"
	}
	return false
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

func (o *objectScanner) take(c byte) bool {
	if o.i < len(o.s) && o.s[o.i] == c {
		o.i++
		return true
	}
	return false
}

func (o *objectScanner) value() bool {
	if o.i >= len(o.s) {
		return o.broken()
	}
	switch c := o.s[o.i]; {
	case c == '"':
		text, ok := o.str()
		if !ok {
			return o.broken()
		}
		o.kind, o.text = kindText, text
	case c == '-' || c >= '0' && c <= '9':
		return o.number()
	case c == '{' || c == '[':
		o.problem = "has a nested value; a row is one flat JSON object"
		return false
	case o.literal("null"):
		o.kind = kindNull
	case o.literal("true"), o.literal("false"):
		o.kind = kindBool
	default:
		return o.broken()
	}
	return true
}

func (o *objectScanner) literal(word string) bool {
	if !strings.HasPrefix(o.s[o.i:], word) {
		return false
	}
	o.i += len(word)
	return true
}

func (o *objectScanner) number() bool {
	start := o.i
	for o.i < len(o.s) && strings.IndexByte("+-.eE0123456789", o.s[o.i]) >= 0 {
		o.i++
	}
	o.kind, o.text = kindNumber, o.s[start:o.i]
	if !json.Valid([]byte(o.text)) {
		o.i = start
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
