package quota

import "regexp"

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{3,128}$`)

// Tag is the bucket of a token's name: its first two characters. With names in
// base32 there are 1,024 buckets.
func Tag(token string) string {
	return token[:min(2, len(token))]
}

// KeyPrefix begins the names of all keys of a token, hash tag included:
// KeyPrefix("habilita", "k7qm...") is "habilita:{k7}:". It is KEYS[1] of every
// script.
func KeyPrefix(prefix, token string) string {
	return prefix + ":{" + Tag(token) + "}:"
}

// checkName refuses what can't be a key. It does not show it: it may be a token that
// was given for its name.
func checkName(token string) error {
	if !nameForm.MatchString(token) {
		return ErrName
	}
	return nil
}
