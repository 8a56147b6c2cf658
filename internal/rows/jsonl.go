package rows

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// HalfSurrogateProblem is what is wrong with a text that has half a surrogate pair. It would become U+FFFD, and so the same
// as another text.
const HalfSurrogateProblem = `has half a surrogate pair, such as \ud800 alone, which is no character`

// jsonLines parses one flat object a line.
type jsonLines struct {
	script script
	scan   objectScanner
}

func (*jsonLines) shape() *Shape { return nil }

func (p *jsonLines) fields(line []byte, _ bool, v *values) *RowError {
	badText := p.script.bad(line)
	scan := &p.scan
	if !scan.begin(line) {
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
		bad = cmp.Or(bad, f)
	}
	for scan.member() {
		col, ok := columnNamed(scan.key)
		illegible := badText && p.script.bad(line[scan.start:scan.end])
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
			p.script = p.script.ofRejects()
		case scan.kind == jsontext.KindString:
			v[col] = scan.text
		case scan.kind == jsontext.KindNumber:
			v[col] = scan.text
			switch n, whole := integer(scan.text); {
			case col == colLicenses && whole:
				v[col] = strconv.Itoa(n) // 5.0 is 5
			case col == colToken:
				fail(col, faultOf(columnNames[col], "must be text in quotes"))
			case (col == colID || col == colChain) && (strings.ContainsAny(scan.text, ".eE") || scan.text == "-0"):
				// 1e3 and 5.0 are 1000 and 5 to some programs, and not to others.
				fail(col, faultOf(columnNames[col], "must be text in quotes, or a whole number in plain digits"))
			}
		case scan.kind != jsontext.KindNull:
			fail(col, faultOf(columnNames[col], "is neither text nor a number"))
		}
		if ok {
			seen[col] = true
		}
	}
	switch {
	case bad != nil:
	case badText, p.script.bad(line): // the member problem may come last
		bad = &RowError{Field: rowField, Problem: p.script.problem(), BadText: true}
	case scan.problem != "":
		bad = faultOf(rowField, scan.problem)
	case wordLike(unknown) && seen[colToken]:
		bad = faultOf(rowField, fmt.Sprintf("has an unknown field %q; the fields are %s", unknown, knownColumns))
	case unknown != "": // without a token, the name could be one
		bad = faultOf(rowField, "has an unknown field; the fields are "+knownColumns)
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

// objectScanner reads the flat JSON object of a line, member by member:
//
//	if scan.begin(line) {
//		for scan.member() { use(scan.key, scan.kind, scan.text) }
//	}
//	if scan.problem != "" { it was none }
type objectScanner struct {
	dec  jsontext.Decoder
	line string

	key        string
	kind       jsontext.Kind
	text       string // of a text or a number
	start, end int    // where the value stands in the line
	half       bool   // the member has half a surrogate pair in it, which is no character
	problem    string
}

// lax lets repeated names and invalid bytes pass, which are reported in other words than the decoder's.
var lax = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// begin reads the opening brace.
func (o *objectScanner) begin(line []byte) bool {
	o.line, o.problem = string(line), ""
	o.dec.Reset(bytes.NewBuffer(line), lax...)
	t, err := o.dec.ReadToken()
	return err == nil && t.Kind() == jsontext.KindBeginObject
}

// member reads the next member; false at the end of the object or on a problem.
func (o *objectScanner) member() bool {
	o.half = false
	if o.dec.PeekKind() == jsontext.KindEndObject {
		_, _ = o.dec.ReadToken()
		if strings.TrimSpace(o.line[o.dec.InputOffset():]) != "" {
			o.problem = "has text behind its JSON object"
		}
		return false
	}
	err := o.read()
	o.key = o.text
	if o.kind = o.dec.PeekKind(); err == nil && (o.kind == jsontext.KindBeginObject || o.kind == jsontext.KindBeginArray) {
		o.problem = "has a nested value; a row is one flat JSON object"
		return false
	}
	if err == nil {
		err = o.read()
	}
	if err != nil {
		at := o.dec.InputOffset()
		if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			at = bad.ByteOffset
		}
		o.problem = fmt.Sprintf("is broken JSON, at byte %d", at+1)
		return false
	}
	return true
}

// read reads a name or a value.
func (o *objectScanner) read() error {
	v, err := o.dec.ReadValue()
	if err != nil {
		return err
	}
	o.end = int(o.dec.InputOffset())
	o.start = o.end - len(v)
	o.text = o.line[o.start:o.end]
	if v.Kind() == jsontext.KindString {
		o.text = o.text[1 : len(o.text)-1]
		if strings.IndexByte(o.text, '\\') >= 0 {
			plain, err := jsontext.AppendUnquote(nil, v)
			o.half = o.half || err != nil // all else was valid
			o.text = string(plain)
		}
	}
	return nil
}

// integer returns a JSON number if it is an integer, as JSON Schema defines it: 5, 5.0 and 50e-1.
func integer(number string) (int, bool) {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}
