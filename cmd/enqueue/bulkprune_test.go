package main

import (
	"bytes"
	"testing"

	"habilita/internal/engine"
)

// The advice is a command that is not refused: --prune=0 would be.
func TestPruneAdviceNamesANumberThatIsTaken(t *testing.T) {
	for want, missing := range map[string]int{
		"nothing was pruned: 0 calls are missing in the file, and not 1\n":                                0,
		"nothing was pruned: 2 calls are missing in the file, and not 1: to cancel them give --prune=2\n": 2,
	} {
		var out bytes.Buffer
		(&bulkRun{app: &app{err: &out}}).notPruned(engine.Summary{NotPruned: &engine.PruneCountError{Missing: missing, Named: 1}})
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}
