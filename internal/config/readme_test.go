package config_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"habilita/internal/config"
)

// TestReadme keeps the README's table of settings equal to the program's.
func TestReadme(t *testing.T) {
	got := settingsRows(t, readReadme(t, "README.md"), "Settings")
	want := []string{"| variable | default | meaning |", "| --- | --- | --- |"}
	for _, r := range config.Describe() {
		want = append(want, settingStart(r.Variable, r.Default)+strings.ReplaceAll(r.Meaning, "|", `\|`)+" |")
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("the table of settings in README.md differs from the program's:\n%s\n\nwant:\n\n%s", g, w)
	}
}

// TestReadmeInSpanish keeps the variables and defaults of the Spanish table equal to the program's. What they mean is
// told in Spanish there, so that is for a reader to compare.
func TestReadmeInSpanish(t *testing.T) {
	got := settingsRows(t, readReadme(t, "README.es.md"), "Configuración")
	settings := config.Describe()
	if len(got) != len(settings)+2 {
		t.Fatalf("README.es.md has %d settings, the program %d", len(got)-2, len(settings))
	}
	for i, r := range settings {
		start := settingStart(r.Variable, r.Default)
		if meaning, ok := strings.CutPrefix(got[i+2], start); !ok || strings.Trim(meaning, " |") == "" {
			t.Errorf("README.es.md: setting %d is %q, want %q and what it means", i+1, got[i+2], start)
		}
	}
}

// TestReadmesAgree shows that a part of one README that the other lacks is noticed.
func TestReadmesAgree(t *testing.T) {
	en, es := outline(readReadme(t, "README.md")), outline(readReadme(t, "README.es.md"))
	for i := range max(len(en), len(es)) {
		var a, b string
		if i < len(en) {
			a = en[i]
		}
		if i < len(es) {
			b = es[i]
		}
		if a != b {
			t.Fatalf("README.md and README.es.md part at their part %d:\n%q\n%q", i+1, a, b)
		}
	}
	if !slices.ContainsFunc(en, func(part string) bool { return strings.HasPrefix(part, "    go run ") }) {
		t.Error("no code block was found")
	}
}

// outline returns what a translation leaves as it is, in order: the level of each heading, each line of code, and for
// each row of a table the number of its cells.
func outline(readme string) []string {
	var parts []string
	fenced := false
	for line := range strings.Lines(readme) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
			parts = append(parts, line)
		case fenced, strings.HasPrefix(line, "    "):
			parts = append(parts, line)
		case strings.HasPrefix(line, "#"):
			level, _, _ := strings.Cut(line, " ")
			parts = append(parts, level)
		case strings.HasPrefix(line, "|"):
			parts = append(parts, fmt.Sprintf("row of %d", strings.Count(line, "|")-1))
		}
	}
	return parts
}

func readReadme(t *testing.T, name string) string {
	t.Helper()
	readme, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(readme)
}

// settingsRows returns the lines of the table in a README's section of settings.
func settingsRows(t *testing.T, readme, heading string) []string {
	t.Helper()
	_, section, ok := strings.Cut(readme, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, strings.TrimSuffix(line, "\n"))
		}
	}
	return rows
}

// settingStart is the row of a setting up to what it means.
func settingStart(variable, def string) string {
	if def != "" {
		def = "`" + def + "`"
	}
	return fmt.Sprintf("| `%s` | %s | ", variable, def)
}
