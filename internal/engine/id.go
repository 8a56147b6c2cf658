package engine

import (
	"crypto/rand"
	"runtime/debug"
	"strings"
)

// newID returns 26 random characters of a to z and 2 to 7.
func newID() string { return strings.ToLower(rand.Text()) }

// version is this program's, as the module system knows it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}
