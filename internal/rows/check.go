package rows

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"habilita/internal/wolkvox"
)

type column int

const (
	colServer column = iota
	colToken
	colLicenses
	colChain
	colRef
	colID
	colProblem // of a rejects file: known, and not looked at
	numColumns
)

var (
	columnNames = [numColumns]string{"server", "token", "licenses", "chain", "ref", "id", "problem"}
	// spanishNames can be used instead of those that differ.
	spanishNames = [numColumns]string{"servidor", "", "licencias", "cadena", "referencia", "", ""}
)

// required reports whether every row needs the column.
func (c column) required() bool { return c == colServer || c == colToken }

// values are the texts of a row's columns, "" for those that aren't given.
type values [numColumns]string

const (
	rowField     = "row"
	knownColumns = "server, token, licenses, chain, ref, id"
)

var errMissing = errors.New("is missing")

// columnsByName has the columns by their names in both languages, in small letters.
var columnsByName = func() map[string]column {
	named := map[string]column{}
	for col := range numColumns {
		named[spanishNames[col]], named[columnNames[col]] = col, col
	}
	delete(named, "")
	return named
}()

func columnNamed(name string) (column, bool) {
	col, ok := columnsByName[strings.ToLower(name)]
	return col, ok
}

// rowOf makes a Row of a line, or says why not. ended says whether the line had a line end.
func rowOf(p parser, line []byte, ended bool) (Row, *RowError) {
	if len(line) > MaxLine {
		return Row{}, tooLong
	}
	var v values
	bad := p.fields(line, ended, &v)
	var row Row
	switch bad {
	case nil:
		row, bad = v.row()
	case blankRow, noteRow:
	default:
		row = v.place(bad)
	}
	row.FromRejects = v[colProblem] != "" || p.shape().rejects()
	return row, bad
}

// row makes a Row of a line's values. If they can't be one, the Row has what is known of its
// token and chain.
func (v *values) row() (Row, *RowError) {
	r := Row{Server: strings.TrimSpace(v[colServer]), server: v[colServer], Token: v[colToken], Chain: v[colChain], Ref: v[colRef], ID: v[colID]}
	if text := strings.TrimSpace(v[colLicenses]); text != "" {
		n, err := strconv.ParseUint(text, 10, 32) // digits alone
		if r.Licenses = int(n); err != nil || n == 0 {
			r.Licenses = -1
		}
	}
	if bad := r.Check(); bad != nil {
		return v.place(bad), bad
	}
	return r, nil
}

// Check says what is wrong with the values of a row, wherever they come from; nil: nothing. It gives the server its
// canonical form.
func (r *Row) Check() *RowError {
	server, err := vendorServer(r.Server)
	if err != nil {
		return faultOf(columnNames[colServer], err.Error())
	}
	r.Server = server
	if err := VendorToken(r.Token); err != nil {
		return faultOf(columnNames[colToken], err.Error())
	}
	if r.Licenses < 0 || r.Licenses > MaxLicenses {
		return faultOf(columnNames[colLicenses], fmt.Sprintf("must be a whole number from 1 to %d", MaxLicenses))
	}
	for _, name := range [...]struct {
		col  column
		text string
	}{{colChain, r.Chain}, {colID, r.ID}} {
		if !validName(name.text) {
			return faultOf(columnNames[name.col], fmt.Sprintf("must be 1 to %d printable ASCII characters without spaces", MaxName))
		}
	}
	if p := DotsProblem(r.ID); p != "" {
		return faultOf(columnNames[colID], p)
	}
	switch {
	case !utf8.ValidString(r.Ref):
		return faultOf(columnNames[colRef], "is not valid UTF-8")
	case utf8.RuneCountInString(r.Ref) > MaxRef:
		return faultOf(columnNames[colRef], fmt.Sprintf("is longer than %d characters", MaxRef))
	case strings.ContainsFunc(r.Ref, unicode.IsControl):
		return faultOf(columnNames[colRef], "has a control character")
	}
	return nil
}

// DotsProblem says that a text can't be the id of a call, or the name of a batch or schedule, because HTTP would cut it
// out of a path; "" if it can.
func DotsProblem(name string) string {
	if name == "." || name == ".." {
		return `can't be "." or "..": in an address, these mean folders`
	}
	return ""
}

// place returns what is known of the token and chain of a bad row. v has the values that could be
// read.
func (v *values) place(bad *RowError) (known Row) {
	if VendorToken(v[colToken]) == nil {
		known.Token = v[colToken]
	}
	bad.ChainUnknown = bad.ChainUnknown || !validName(v[colChain])
	if !bad.ChainUnknown {
		known.Chain = v[colChain]
	}
	return known
}

// vendorServer returns the canonical form of a server. The error's text is for people, and
// never contains the value.
func vendorServer(s string) (string, error) {
	if s == "" {
		return "", errMissing
	}
	server, err := wolkvox.ParseServer(s)
	if bad, ok := errors.AsType[*wolkvox.ServerError](err); ok {
		err = errors.New(bad.Reason + "; " + wolkvox.ServerForms)
	}
	return string(server), err
}

// VendorToken returns an error if a text can't be a token. The error's text is like that of vendorServer.
func VendorToken(s string) error {
	switch s {
	case "":
		return errMissing
	case "[redacted]":
		return errors.New("is the text that a token prints as, not a token")
	}
	return wolkvox.ValidToken(s)
}

func validName(s string) bool {
	return len(s) <= MaxName && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
