package wolkvox

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"habilita/internal/loopback"
)

// Server is the vendor's name of a server in its canonical form: decimal digits,
// four of them ("0042"), or five or six without a leading zero ("10042"). The zero
// value names none. Make one with [ParseServer]; one that was converted from
// another string is checked again by [Client.Do].
type Server string

const (
	minServerDigits = 4
	maxServerDigits = 6
)

const vendorDomain = ".wolkvox.com"

// ServerForms says how a server can be written.
const ServerForms = "write it as 0042, 42, wv0042 or https://wv0042.wolkvox.com"

// ParseServer reads what people write for a server: "0042", "42", "wv0042", "WV42",
// its host, "wv0042.wolkvox.com", or its URL, "https://wv0042.wolkvox.com" with or
// without a path.
//
// Fewer than four digits are padded ("42" is "0042"): servers seen are 0001 to
// 0100, always written with four. Up to six are accepted, so that a grown vendor
// needs no new release; more than four must not begin with a zero, because "00042"
// may be a slip for several servers. 0 is refused. A URL names a host, so its digits
// are never padded: https://wv42.wolkvox.com is refused. Everything else is refused
// too, white space around it included, with a [*ServerError].
func ParseServer(s string) (Server, error) {
	digits, named := s, len(s) >= 2 && strings.EqualFold(s[:2], "wv")
	if named {
		digits = s[2:]
	}
	if named && strings.Contains(s, ".") || len(s) >= 8 && strings.EqualFold(s[:8], "https://") {
		m := vendorHost.FindStringSubmatch(s)
		if m == nil {
			return "", &ServerError{Reason: "its host is not the vendor's"}
		}
		if digits = m[1]; len(digits) < minServerDigits {
			return "", &ServerError{Reason: "its host has fewer than four digits"}
		}
	}
	if why := digitsFault(digits); why != "" {
		return "", &ServerError{Reason: why}
	}
	return Server(strings.Repeat("0", max(0, minServerDigits-len(digits))) + digits), nil
}

// vendorHost is a URL of one of the vendor's servers, or its host.
var vendorHost = regexp.MustCompile(`(?is)^(?:https://)?wv([^./?#]*)\.wolkvox\.com(?:[/?#].*)?$`)

// digitsFault says what is wrong with a server's digits, "" for nothing.
func digitsFault(d string) string {
	switch {
	case d == "":
		return "it is empty"
	case !allDigits(d):
		return "it is not a number"
	case strings.Trim(d, "0") == "":
		return "there is no server 0"
	case len(d) > maxServerDigits:
		return "it has more than six digits"
	case len(d) > minServerDigits && d[0] == '0':
		return "it has more than four digits and begins with a zero"
	}
	return ""
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// canonical reports whether s is as ParseServer would have made it.
func (s Server) canonical() bool {
	return len(s) >= minServerDigits && digitsFault(string(s)) == ""
}

// ServerError says that a text names no server. It does not show the text, since
// the usual slip is a swapped column, with a token in the server's place.
type ServerError struct {
	Reason string // what is wrong with it, such as "it is not a number"
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("wolkvox: not a server: %s; %s", e.Reason, ServerForms)
}

const placeholder = "{server}"

var (
	errTemplate = errors.New("want a URL template such as " + DefaultURL)
	errHost     = errors.New("want the vendor's host, as in " + DefaultURL +
		", or for a rehearsal an address of this machine such as http://127.0.0.1:8080/wv{server}")
	errExtras = errors.New("want no user, query or fragment in the URL template")
)

// template is a checked Config.URL. Its parts never show a user or password.
type template struct {
	scheme, authority, path string // authority and path may hold the placeholder
	local                   bool   // this machine: nothing else may be dialled
}

// CheckURL says whether a text can be Config.URL. The error does not show it, for it may hold a password.
func CheckURL(s string) error { _, err := parseTemplate(s); return err }

// parseTemplate reads a Config.URL. Its errors do not show the text, which may
// hold a password.
func parseTemplate(s string) (template, error) {
	// The host is cut out by hand: net/url refuses braces in a host.
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return template{}, errTemplate
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	t := template{scheme: strings.ToLower(scheme), authority: strings.ToLower(host)}
	if strings.ContainsAny(rest, "?#@\\") {
		return template{}, errExtras
	}
	path = strings.TrimRight(path, "/")
	filled := strings.ReplaceAll(path, placeholder, "0042")
	if u, err := url.ParseRequestURI("/" + filled); err != nil || strings.ContainsAny(filled, "{}%") || u.RawQuery != "" {
		return template{}, errTemplate
	}
	t.path = path
	u, err := url.Parse("http://" + t.authority)
	here := err == nil && u.Host == t.authority && u.Port() != "0" && loopback.Host(u.Host)
	switch {
	case t.scheme != "http" && t.scheme != "https":
		return template{}, errTemplate
	case here:
		t.local = true
	case t.scheme == "https" && t.authority == "wv"+placeholder+vendorDomain && path == "":
	default:
		return template{}, errHost
	}
	return t, nil
}

// host is a server's host, with its port if the template has one.
func (t template) host(s Server) string {
	return strings.ReplaceAll(t.authority, placeholder, string(s))
}

// address is where to dial for a host.
func (t template) address(host string) string {
	u := url.URL{Host: host}
	usual := map[string]string{"http": "80", "https": "443"}[t.scheme]
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), usual))
}

// request is an attempt as it is written. All its parts have been validated. Names are written as in the
// vendor's documents, not in Go's canonical case.
func (t template) request(host string, op Operation, r *Request) []byte {
	path := url.URL{Path: strings.ReplaceAll(t.path, placeholder, string(r.Server)) + "/api/v2/" + op.Script}
	text := fmt.Appendf(make([]byte, 0, 384), "%s %s?api=%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: habilita\r\nAccept: */*\r\nwolkvox-token: %s\r\n",
		op.Method, path.EscapedPath(), op.API, host, r.Token)
	if r.ID != "" {
		text = fmt.Appendf(text, "X-Request-ID: %s\r\n", r.ID)
	}
	if op.Method != http.MethodGet {
		text = append(text, "Content-Length: 0\r\n"...)
	}
	return append(text, "\r\n"...)
}
