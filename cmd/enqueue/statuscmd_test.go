package main

import (
	"bytes"
	"strings"
	"testing"

	"habilita/internal/control"
)

// A batch is told apart by what it waits for: its producer, or its calls.
func TestStatusSaysWhatABatchWaitsFor(t *testing.T) {
	for want, st := range map[string]control.Status{
		"not settled: a producer still adds rows\n": {Filling: true},
		"not settled: it goes on\n":                 {Open: 1},
	} {
		var out bytes.Buffer
		(&app{out: &out}).printStatus(st)
		if !strings.HasSuffix(out.String(), "\n"+want) {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}
