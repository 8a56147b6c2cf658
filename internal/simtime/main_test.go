package simtime

import (
	"os"
	"runtime/debug"
	"testing"
)

// miniredis makes an interpreter for every script that it runs: half of the time would
// be spent on collecting them.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}
