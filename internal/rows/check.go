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
	// spanishNames stand beside them where they differ.
	spanishNames = [numColumns]string{"servidor", "", "licencias", "cadena", "referencia", "", ""}
)

// required tells whether no row can be without the column.
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

// rowOf makes a Row of a line, or says why not. ended tells whether the line had an end.
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

// row makes a Row of a line's values. Where it can't be one, the Row has what is known of its
// token and chain.
func (v *values) row() (Row, *RowError) {
	fail := func(col column, problem string) (Row, *RowError) {
		f := faultOf(columnNames[col], problem)
		return v.place(f), f
	}
	server, err := VendorServer(strings.TrimSpace(v[colServer]))
	if err != nil {
		return fail(colServer, err.Error())
	}
	if err := VendorToken(v[colToken]); err != nil {
		return fail(colToken, err.Error())
	}
	licenses, ok := parseLicenses(strings.TrimSpace(v[colLicenses]))
	if !ok {
		return fail(colLicenses, fmt.Sprintf("must be a whole number from 1 to %d", MaxLicenses))
	}
	for _, col := range [...]column{colChain, colID} {
		if !validName(v[col]) {
			return fail(col, fmt.Sprintf("must be 1 to %d printable ASCII characters without spaces", MaxName))
		}
	}
	if problem := refProblem(v[colRef]); problem != "" {
		return fail(colRef, problem)
	}
	return Row{Server: server, server: v[colServer], Token: v[colToken], Licenses: licenses,
		Chain: v[colChain], Ref: v[colRef], ID: v[colID]}, nil
}

// place is what is known of the token and chain of a row that can't be one. v has the values that
// can be told.
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

// VendorServer gives the canonical form of a server. The error's text is for people, and
// never holds the value.
func VendorServer(s string) (string, error) {
	if s == "" {
		return "", errMissing
	}
	server, err := wolkvox.ParseServer(s)
	if bad, ok := errors.AsType[*wolkvox.ServerError](err); ok {
		err = errors.New(bad.Reason + "; " + wolkvox.ServerForms)
	}
	return string(server), err
}

// VendorToken says whether a text can be a token. The error is as of VendorServer.
func VendorToken(s string) error {
	if s == "" {
		return errMissing
	}
	err := wolkvox.ValidToken(s)
	if bad, ok := errors.AsType[*wolkvox.TokenError](err); ok {
		err = errors.New(bad.Reason)
	}
	return err
}

// parseLicenses reads digits alone; "" is 0, not given.
func parseLicenses(s string) (n int, ok bool) {
	if s == "" {
		return 0, true
	}
	u, err := strconv.ParseUint(s, 10, 32)
	return int(u), err == nil && u > 0 && u <= MaxLicenses
}

func validName(s string) bool {
	return len(s) <= MaxName && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func refProblem(s string) string {
	switch {
	case utf8.RuneCountInString(s) > MaxRef:
		return fmt.Sprintf("is longer than %d characters", MaxRef)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "has a control character"
	}
	return ""
}
