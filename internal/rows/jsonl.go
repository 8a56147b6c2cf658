package rows

import (
	"cmp"
	"fmt"
	"strconv"
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
