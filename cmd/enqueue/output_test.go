package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// A Redis that is told to stop in the middle of a bulk breaks several connections: one
// sentence says what that means.
func TestBrokenConnectionIsExplained(t *testing.T) {
	err := explain(errors.Join(fmt.Errorf("append: %w", io.EOF), io.EOF))
	if text := err.Error(); strings.Contains(text, "EOF") || strings.Contains(text, "\n") || !strings.Contains(text, "Redis closed the connection") {
		t.Errorf("%q", text)
	}
}
