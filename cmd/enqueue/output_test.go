package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A Redis that stops in the middle of a bulk breaks several connections. One sentence
// says what that means.
func TestBrokenConnectionIsExplained(t *testing.T) {
	text := explain(errors.Join(fmt.Errorf("append: %w", io.EOF), io.EOF))
	if strings.Contains(text, "EOF") || strings.Contains(text, "\n") || !strings.Contains(text, "Redis closed the connection") {
		t.Errorf("%q", text)
	}
}

// If a file can't get its name, that is not a fault of Redis.
func TestFaultOfAFileIsNoneOfRedis(t *testing.T) {
	err := fmt.Errorf("rejects file: %w", &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EACCES})
	if got := explain(err); got != err.Error() {
		t.Errorf("%q", got)
	}
}
