//go:build !linux

package e2e

import "testing"

// HasOwnNetwork is false: hosts need Linux.
func HasOwnNetwork() bool { return false }

// OwnNetwork does nothing here: it needs Linux.
func OwnNetwork() (status int, done bool) { return 0, false }

func holdNamespace(tb testing.TB, _ string) int {
	tb.Helper()
	tb.Fatal("hosts take Linux")
	return 0
}
