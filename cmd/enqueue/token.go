package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"habilita/internal/engine"
	"habilita/internal/wolkvox"
)

const maxTokenFile = 64 << 10

// token reads the token of a single call from the one place that was chosen. Its
// errors never hold it.
func (a *app) token(file string, stdin bool) (engine.Token, error) {
	var text, from string
	switch {
	case file != "" && stdin:
		return "", usagef("--token-file and --token-stdin can't both be given")
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		defer func() { _ = f.Close() }()
		if text, err = readToken(f); err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		from = "--token-file"
	case stdin:
		var err error
		if text, err = readToken(a.in); err != nil {
			return "", fmt.Errorf("--token-stdin: %w", err)
		}
		from = "--token-stdin"
	default:
		if text = a.getenv("WOLKVOX_TOKEN"); text == "" {
			return "", usagef("there is no token: give it in WOLKVOX_TOKEN, --token-file FILE or --token-stdin")
		}
		from = "WOLKVOX_TOKEN"
	}
	if err := wolkvox.ValidToken(text); err != nil {
		var bad *wolkvox.TokenError
		if errors.As(err, &bad) {
			return "", usagef("the token of %s can't be one: %s", from, bad.Reason)
		}
		return "", usagef("the token of %s can't be one", from)
	}
	return engine.Token(text), nil
}

// readToken reads a token and drops the line's end behind it.
func readToken(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTokenFile))
	var path *fs.PathError
	if errors.As(err, &path) {
		return "", path
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
