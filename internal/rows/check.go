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
	isMissing    = "is missing"
	maxServers   = 1024 // canonical servers that are remembered
)

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

// checker makes Rows of lines. It remembers what it saw, since the rows of a
// token stand together and servers repeat.
type checker struct {
	servers   map[string]string // as written: canonical
	lastToken string            // was good
}

// line makes a Row of a line, or says why not. ended tells whether the line had an end.
func (c *checker) line(p parser, line []byte, ended bool) (Row, *RowError) {
	if len(line) > MaxLine {
		return Row{}, tooLong
	}
	var v values
	bad := p.fields(line, ended, &v)
	var row Row
	switch bad {
	case nil:
		row, bad = c.row(&v)
	case blankRow, noteRow:
	default:
		row = c.place(&v, bad)
	}
	row.FromRejects = v[colProblem] != "" || p.shape().rejects()
	return row, bad
}

// row makes a Row of a line's values. Where it can't be one, the Row has what is known of its
// token and chain.
func (c *checker) row(v *values) (Row, *RowError) {
	fail := func(field, problem string) (Row, *RowError) {
		f := faultOf(field, problem)
		return c.place(v, f), f
	}
	server, problem := c.server(strings.TrimSpace(v[colServer]))
	if problem != "" {
		return fail("server", problem)
	}
	token, problem := c.token(v[colToken])
	if problem != "" {
		return fail("token", problem)
	}
	licenses, ok := parseLicenses(strings.TrimSpace(v[colLicenses]))
	if !ok {
		return fail("licenses", fmt.Sprintf("must be a whole number from 1 to %d", MaxLicenses))
	}
	for _, col := range [...]column{colChain, colID} {
		if !validName(v[col]) {
			return fail(columnNames[col],
				fmt.Sprintf("must be 1 to %d printable ASCII characters without spaces", MaxName))
		}
	}
	if problem := refProblem(v[colRef]); problem != "" {
		return fail("ref", problem)
	}
	return Row{Server: server, server: v[colServer], Token: token, Licenses: licenses,
		Chain: v[colChain], Ref: v[colRef], ID: v[colID]}, nil
}

// place is what is known of the token and chain of a row that can't be one. v has the values that
// can be told.
func (c *checker) place(v *values, bad *RowError) (known Row) {
	known.Token, _ = c.token(v[colToken])
	bad.ChainUnknown = bad.ChainUnknown || !validName(v[colChain])
	if !bad.ChainUnknown {
		known.Chain = v[colChain]
	}
	return known
}

func (c *checker) server(s string) (canonical, problem string) {
	if s == "" {
		return "", isMissing
	}
	if known, ok := c.servers[s]; ok {
		return known, ""
	}
	canonical, err := VendorServer(s)
	if err != nil {
		return "", err.Error()
	}
	canonical = strings.Clone(canonical) // s is a part of its whole line
	if len(c.servers) < maxServers {
		c.servers[strings.Clone(s)] = canonical
	}
	return canonical, ""
}

func (c *checker) token(s string) (token, problem string) {
	switch {
	case s == "":
		return "", isMissing
	case s == c.lastToken:
		return c.lastToken, ""
	}
	if err := VendorToken(s); err != nil {
		return "", err.Error()
	}
	c.lastToken = s
	return s, ""
}

// VendorServer gives the canonical form of a server. The error's text is for people, and
// never holds the value.
func VendorServer(s string) (string, error) {
	server, err := wolkvox.ParseServer(s)
	var bad *wolkvox.ServerError
	if errors.As(err, &bad) {
		return "", errors.New(bad.Reason + "; " + wolkvox.ServerForms)
	}
	return string(server), err
}

// VendorToken says whether a text can be a token. The error is as of VendorServer.
func VendorToken(s string) error {
	err := wolkvox.ValidToken(s)
	var bad *wolkvox.TokenError
	if errors.As(err, &bad) {
		return errors.New(bad.Reason)
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
