package wolkvox

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"habilita/internal/loopback"
)

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
