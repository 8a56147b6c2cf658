package wolkvox

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

const placeholder = "{server}"

var (
	errTemplate = errors.New("not a URL template: write it as " + DefaultURL)
	errHost     = errors.New("not the vendor's host nor this machine: write it as " + DefaultURL +
		", or for a rehearsal as http://127.0.0.1:8080/wv{server}")
	errExtras = errors.New("a user, a query and a fragment have no place in the URL template")
)

// template is a checked Config.URL. Its parts never show a user or password.
type template struct {
	scheme, host, path string // host and path may hold the placeholder
	local              bool   // this machine: nothing else may be dialled
}

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
	t := template{scheme: strings.ToLower(scheme), host: strings.ToLower(host)}
	if strings.ContainsAny(rest, "?#@\\") {
		return template{}, errExtras
	}
	path = strings.TrimRight(path, "/")
	filled := strings.ReplaceAll(path, placeholder, "0042")
	if u, err := url.ParseRequestURI("/" + filled); err != nil || strings.ContainsAny(filled, "{}%") || u.RawQuery != "" {
		return template{}, errTemplate
	}
	t.path = path
	switch {
	case t.scheme != "http" && t.scheme != "https":
		return template{}, errTemplate
	case isLoopback(t.host):
		t.local = true
	case t.scheme == "https" && t.host == "wv"+placeholder+vendorDomain && path == "":
	default:
		return template{}, errHost
	}
	return t, nil
}

// isLoopback reports whether a URL's host, with or without a port, is this machine.
func isLoopback(host string) bool {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host || u.Port() == "0" {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

// url is an operation's address on a server.
func (t template) url(s Server, op Operation) *url.URL {
	return &url.URL{
		Scheme:   t.scheme,
		Host:     strings.ReplaceAll(t.host, placeholder, string(s)),
		Path:     strings.ReplaceAll(t.path, placeholder, string(s)) + "/api/v2/" + op.script(),
		RawQuery: "api=" + op.API,
	}
}
