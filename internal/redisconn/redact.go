package redisconn

import "strings"

// Redact is the URL without its password and without what else may be secret, to
// be shown. What can't be understood becomes "***" as a whole.
func Redact(raw string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	if _, known := schemes[strings.ToLower(scheme)]; !ok || !known {
		return "***"
	}
	// The last '@' of all: a password that was not encoded may have any sign.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, _, hasPassword := strings.Cut(rest[:at], ":")
		if !hasPassword || strings.ContainsAny(user, "/?#@") {
			user = "***"
		} else {
			user += ":***"
		}
		rest = user + rest[at:]
	}
	place, query, hasQuery := strings.Cut(rest, "?")
	if hasQuery {
		params := strings.Split(query, "&")
		for i, param := range params {
			switch name, _, _ := strings.Cut(param, "="); name {
			case "db", "pool_size", "dial_timeout", "read_timeout", "write_timeout", "client_name", "skip_verify":
			case "sentinel_username", "sentinel_password":
				params[i] = name + "=***"
			default:
				params[i] = "***"
			}
		}
		place += "?" + strings.Join(params, "&")
	}
	return scheme + "://" + place
}
