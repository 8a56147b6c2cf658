package tasks

import (
	"crypto/rand"
	"strings"
)

// newID returns 26 random characters of a to z and 2 to 7.
func newID() string { return strings.ToLower(rand.Text()) }
