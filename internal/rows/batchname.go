package rows

import (
	"path/filepath"
	"strings"
)

const maxStem = 64

// BatchName is the default name of a file's batch: the file's name without folder and
// extension. What isn't a letter, a digit, '.', '_' or '-' of ASCII becomes '-', and of a long
// name 64 characters stay.
func BatchName(path string) string {
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
