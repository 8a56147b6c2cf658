package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

const (
	hashChars = 12 // 48 bits: a shared name of different contents would hide calls
	maxStem   = 64
)

// ContentHash is a short hash of all that r gives: 12 hex digits of its SHA-256.
// The error is the reader's.
func ContentHash(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil))[:hashChars], nil
}

// BatchName is the default name of a file's batch: the file's name without its
// extension and a hash of its content, such as "operations-9f86d081884c". What
// isn't a letter, a digit, '.', '_' or '-' of ASCII becomes '-', and of a long
// name 64 characters stay. It reads r from its beginning and leaves it there.
func BatchName(path string, r io.ReadSeeker) (string, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("hash the file's content: %w", err)
	}
	hash, err := ContentHash(r)
	if err != nil {
		return "", fmt.Errorf("hash the file's content: %w", err)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("hash the file's content: %w", err)
	}
	return stem(path) + "-" + hash, nil
}

func stem(path string) string {
	base := filepath.Base(path)
	switch ext := filepath.Ext(base); strings.ToLower(ext) {
	case ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json":
		base = strings.TrimSuffix(base, ext)
	}
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		default:
			return '-'
		}
	}, base)
	clean = strings.Trim(clean[:min(len(clean), maxStem)], "-.")
	if clean == "" {
		return "batch"
	}
	return clean
}
