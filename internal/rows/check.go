package rows

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
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
	maxBuiltin   = 4096 // bytes of a server or token under the built-in checks
)

func columnNamed(name string) (column, bool) {
	for col, known := range columnNames {
		if name == known || strings.EqualFold(name, known) {
			return column(col), true
		}
	}
	for col, known := range spanishNames {
		if known != "" && strings.EqualFold(name, known) {
			return column(col), true
		}
	}
	return 0, false
}

// checker makes Rows of lines. It remembers what it saw, since the rows of a
// token stand together and servers repeat.
type checker struct {
	Checks
	servers   map[string]string // as written: canonical
	lastToken string            // was good
}

func newChecker(c Checks) *checker {
	if c.Server == nil {
		c.Server = func(s string) (string, error) { return s, plain(s) }
	}
	if c.Token == nil {
		c.Token = plain
	}
	return &checker{Checks: c, servers: map[string]string{}}
}

// line makes a Row of a line, or says why not. ended tells whether the line had an end.
func (c *checker) line(p parser, line []byte, ended bool) (Row, *fault) {
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
func (c *checker) row(v *values) (Row, *fault) {
	fail := func(field, problem string) (Row, *fault) {
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
func (c *checker) place(v *values, bad *fault) (known Row) {
	known.Token, _ = c.token(v[colToken])
	bad.chainUnknown = bad.chainUnknown || !validName(v[colChain])
	if !bad.chainUnknown {
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
	canonical, err := c.Server(s)
	if err != nil {
		return "", withoutValue(err, "server", s)
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
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", errSpace.Error()
	}
	if err := c.Token(s); err != nil {
		return "", withoutValue(err, "token", s)
	}
	c.lastToken = s
	return s, ""
}

var (
	errSpace = errors.New("has white space or a control character")
	errLong  = fmt.Errorf("is longer than %d bytes", maxBuiltin)
)

// plain is the built-in check of a server and a token.
func plain(s string) error {
	if len(s) > maxBuiltin {
		return errLong
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return errSpace
	}
	return nil
}

// withoutValue is an injected check's complaint with the value cut out of it. A
// server's may be a token, where columns were mixed up.
func withoutValue(err error, field, value string) string {
	text := strings.TrimPrefix(err.Error(), field+": ")
	quoted := fmt.Sprintf("%q", value)
	for _, form := range []string{quoted, quoted[1 : len(quoted)-1], value} {
		if field != "token" && len(value) <= 8 {
			break // too short for a token, and of help to the reader
		}
		text = strings.ReplaceAll(text, form, "[...]")
	}
	return text
}

// parseLicenses reads digits alone; "" is 0, not given.
func parseLicenses(s string) (n int, ok bool) {
	if s == "" {
		return 0, true
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int(s[i]-'0'); n > MaxLicenses {
			return 0, false
		}
	}
	return n, n > 0
}

func validName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= MaxName
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
