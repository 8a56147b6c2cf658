package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

const maxFile = 64 << 10 // bytes; a file of keys has a few hundred

// readFile gives what a secret's file holds, without white space around it, and warns
// where everybody can read it. It is not ok where a fault was reported.
func (l *loader) readFile(d setting, path, source string) (value string, ok bool) {
	fault := func(want string) (string, bool) {
		l.fault(d, Fault{Variable: d.variable + "_FILE", Source: source, Value: shownPath(path), Want: want})
		return "", false
	}
	f, err := os.Open(path)
	if err != nil {
		return fault("can't be read: " + cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fault("can't be read: " + cause(err))
	}
	if info.IsDir() {
		return fault("is a directory, want a file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fault("can't be read: " + cause(err))
	}
	if len(text) > maxFile {
		return fault("is larger than 64 KiB, so it is some other file")
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return fault("is empty")
	}
	if readable := info.Mode().Perm() & 0o004; readable != 0 && runtime.GOOS != "windows" {
		l.s.warnings = append(l.s.warnings, fmt.Sprintf(
			"everybody on this machine can read the file of %s, %s: chmod 600 it", d.variable, shownPath(path)))
	}
	return string(text), true
}

// cause leaves the path out of an error of package os.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

var sealingKey = regexp.MustCompile(`[A-Za-z0-9+/]{43}=?`)

// shownPath is a path for a message, unless somebody put the secret where its path goes.
func shownPath(path string) string {
	if strings.Contains(path, "://") || strings.Contains(path, "@") || sealingKey.MatchString(path) && strings.Contains(path, ":") {
		return redacted
	}
	return strconv.Quote(path)
}
