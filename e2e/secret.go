package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Leaks judges I7. It returns where the bytes of a token are found (plain, hex, base64 in all its
// alignments): in Redis' files, logs, outputs, pages that were fetched, and arguments of the
// processes that run. In but, name the files that contain tokens on purpose: those that were given to
// enqueue, and its rejects.
func (l *Lab) Leaks(token string, but ...string) []string {
	l.TB.Helper()
	needles := forms(token)
	var found []string
	look := func(where string, b []byte) {
		for form, needle := range needles {
			if bytes.Contains(b, needle) || form != "plain" && bytes.Contains(bytes.ToLower(b), bytes.ToLower(needle)) {
				found = append(found, fmt.Sprintf("I7: token (%s) in %s", form, where))
			}
		}
	}
	skip := map[string]bool{}
	for _, b := range but {
		skip[b] = true
	}
	dirs := []string{l.Dir}
	if l.Redis != nil {
		dirs = append(dirs, l.Redis.Dir)
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || skip[path] {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			look(filepath.Base(path), b)
			return nil
		})
		if err != nil {
			l.TB.Fatal(err)
		}
	}
	for _, r := range l.outputs {
		look("output of enqueue "+strings.Join(r.Args, " "), []byte(r.Stdout+r.Stderr))
		look("arguments of enqueue", []byte(strings.Join(r.Args, "\x00")))
	}
	for _, p := range l.pages {
		look("a page", []byte(p))
	}
	for _, w := range l.workers {
		look("arguments of "+w.Name, w.Args())
		look("log of "+w.Name, []byte(w.Log()))
	}
	return found
}

// forms returns the ways in which a token's bytes could be written.
func forms(token string) map[string][]byte {
	f := map[string][]byte{"plain": []byte(token), "hex": []byte(hex.EncodeToString([]byte(token)))}
	for shift := range 3 {
		// What comes before the token shifts its base64, so look only for the groups that
		// contain nothing but the token.
		padded := append(make([]byte, shift), token...)
		text := base64.RawStdEncoding.EncodeToString(padded)
		whole := len(padded) / 3 * 4
		f[fmt.Sprintf("base64+%d", shift)] = []byte(text[(shift+2)/3*4 : whole])
		url := base64.RawURLEncoding.EncodeToString(padded)
		f[fmt.Sprintf("base64url+%d", shift)] = []byte(url[(shift+2)/3*4 : whole])
	}
	return f
}
