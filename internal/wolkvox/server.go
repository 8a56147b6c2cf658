package wolkvox

import (
	"fmt"
	"regexp"
	"strings"
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
