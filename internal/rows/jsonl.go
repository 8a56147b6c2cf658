package rows

import (
	"fmt"
	"strconv"
)

// HalfSurrogateProblem is what is wrong with a text of which HalfSurrogate is true.
const HalfSurrogateProblem = `has half a surrogate pair, such as \ud800 alone, which is no character`

// jsonLines parses one flat object a line.
type jsonLines struct{ script script }

func (jsonLines) shape() *Shape { return nil }

func (p jsonLines) fields(line []byte, _ bool, v *values) *fault {
	badText := p.script.bad(line)
	scan := objectScanner{s: string(line)}
	if !scan.begin() {
		return &fault{field: rowField, problem: "is not a JSON object", badText: badText}
	}
	token := false // there is a token, so no name can be one
	var seen [numColumns]bool
	var unknown string
	var bad *fault
	for scan.member() {
		col, ok := columnNamed(scan.key)
		if badText && p.script.bad(line[scan.start:scan.i]) {
			if ok {
				return &fault{field: columnNames[col], problem: p.script.problem(), badText: true}
			}
			break
		}
		if scan.half {
			if ok {
				return faultOf(columnNames[col], HalfSurrogateProblem)
			}
			return faultOf(rowField, HalfSurrogateProblem)
		}
		if !ok {
			unknown = scan.key
			if unknown == "" {
				unknown = "?"
			}
			continue
		}
		if seen[col] {
			return faultOf(rowField, "names "+twice(col))
		}
		seen[col] = true
		if col == colProblem {
			v[col] = columnNames[col] // whatever it says
			continue
		}
		token = token || col == colToken
		switch scan.kind {
		case kindNull:
		case kindText:
			v[col] = scan.text
		case kindNumber:
			v[col] = scan.text
			switch n, whole := Integer(scan.text); {
			case col == colLicenses && whole:
				v[col] = strconv.Itoa(n) // 5.0 is 5
			case col == colToken:
				bad = faultOf(columnNames[col], "must be text in quotes")
			case (col == colID || col == colChain) && !wholeNumber(scan.text):
				// 1e3 and 5.0 are 1000 and 5 to some programs, and not to others.
				bad = faultOf(columnNames[col], "must be text in quotes, or a whole number in plain digits")
			}
		default:
			bad = faultOf(columnNames[col], "is neither text nor a number")
		}
	}
	switch {
	case badText:
		return &fault{field: rowField, problem: p.script.problem(), badText: true}
	case scan.problem != "":
		return faultOf(rowField, scan.problem)
	case wordLike(unknown) && token:
		return faultOf(rowField, fmt.Sprintf("has an unknown field %q; the fields are %s", unknown, knownColumns))
	case unknown != "" && token:
		return faultOf(rowField, "has an unknown field; the fields are "+knownColumns)
	case unknown != "":
		return faultOf(rowField, "has an unknown field and no token; the fields are "+knownColumns)
	case seen == noteMembers:
		return noteRow
	}
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
