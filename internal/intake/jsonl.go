package intake

import (
	"fmt"
	"unicode/utf8"
)

// jsonLines parses one flat object a line.
type jsonLines struct{}

func (jsonLines) header() []byte { return nil }

func (jsonLines) fields(line []byte, v *values) *fault {
	if !utf8.Valid(line) {
		return &fault{rowField, notUTF8}
	}
	scan := objectScanner{s: string(line)}
	if !scan.begin() {
		return &fault{rowField, "is not a JSON object"}
	}
	token := false // there is a token, so no name can be one
	var unknown string
	var bad *fault
	for scan.member() {
		col, ok := columnNamed(scan.key)
		if !ok {
			unknown = scan.key
			if unknown == "" {
				unknown = "?"
			}
			continue
		}
		token = token || col == colToken
		v[col] = ""
		switch scan.kind {
		case kindNull:
		case kindText:
			v[col] = scan.text
		case kindNumber:
			v[col] = scan.text
			if col == colToken {
				bad = &fault{columnNames[col], "must be text in quotes"}
			}
		default:
			bad = &fault{columnNames[col], "is neither text nor a number"}
		}
	}
	switch {
	case scan.problem != "":
		return &fault{rowField, scan.problem}
	case wordLike(unknown) && token:
		return &fault{rowField, fmt.Sprintf("has an unknown field %q; the fields are %s", unknown, knownColumns)}
	case unknown != "" && token:
		return &fault{rowField, "has an unknown field; the fields are " + knownColumns}
	case unknown != "":
		return &fault{rowField, "has an unknown field and no token; the fields are " + knownColumns}
	}
	return bad
}
