package rows

import (
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxStem = 64

// BatchName is the default name of a file's batch: the file's name without folder and
// extension. What isn't a letter or a digit of some script, '.', '_' or '-' becomes '-', and of a
// long name 64 characters stay.
func BatchName(path string) string {
	base := filepath.Base(path)
	switch ext := filepath.Ext(base); strings.ToLower(ext) {
	case ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json":
		base = strings.TrimSuffix(base, ext)
	}
	clean := []rune(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) && !strings.ContainsRune("._-", r) {
			return '-'
		}
		return r
	}, norm.NFC.String(base))) // some systems write an accent as a character of its own
	name := strings.Trim(string(clean[:min(len(clean), maxStem)]), "-.")
	if name == "" {
		return "batch"
	}
	return name
}
