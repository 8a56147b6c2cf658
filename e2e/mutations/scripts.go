package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Scripts are embedded, so each mutation of one would cost a build of every package above
// it. In the copy they are read from their files when a test begins instead.

// embeddedTexts are the variables that hold one script each, by the file, in the copy, of
// their package that sets them anew.
var embeddedTexts = map[string]struct{ variable, script string }{
	"internal/quota/from_file.go":      {"library", quotaLua},
	"internal/membership/from_file.go": {"source", membershipLua},
}

const setFromFile = `package %s

import "os"

func init() {
	text, err := os.ReadFile(%q)
	if err != nil {
		panic(err)
	}
	%s = string(text)
}
`

// ledgerFiles replaces the ledger's embedded file system.
var ledgerFiles = []edit{
	{"internal/ledger/ledger.go", `"embed"`, "\"io/fs\"\n\t\"os\""},
	{"internal/ledger/ledger.go", "//go:embed lua/*.lua\nvar sources embed.FS\n", "var sources = os.DirFS(DIR).(fs.ReadFileFS)\n"},
}

// scriptsFromFiles makes the copy read its scripts when it runs.
func (b *bench) scriptsFromFiles() error {
	for name, t := range embeddedTexts {
		pkg := filepath.Base(filepath.Dir(name))
		text := fmt.Sprintf(setFromFile, pkg, filepath.Join(b.dir, t.script), t.variable)
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, e := range ledgerFiles {
		name := filepath.Join(b.dir, e.File)
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		e.New = strings.ReplaceAll(e.New, "DIR", fmt.Sprintf("%q", filepath.Join(b.dir, "internal/ledger")))
		changed, err := e.apply(string(text))
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ofScripts reports whether the mutation needs no build.
func (m mutation) ofScripts() bool {
	for _, e := range m.Edits {
		inCopy := e.File == quotaLua || e.File == membershipLua || strings.HasPrefix(e.File, "internal/ledger/lua/")
		if !inCopy {
			return false
		}
	}
	return true
}
