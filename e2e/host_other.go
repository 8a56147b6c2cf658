//go:build !linux

package e2e

import "testing"

// HasOwnNetwork is false: hosts take Linux.
func HasOwnNetwork() bool { return false }

// OwnNetwork can't be had here.
func OwnNetwork() (status int, done bool) { return 0, false }

func holdNamespace(tb testing.TB, _ string) int {
	tb.Helper()
	tb.Fatal("hosts take Linux")
	return 0
}
