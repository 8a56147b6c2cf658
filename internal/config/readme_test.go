package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"habilita/internal/config"
)

// TestReadme keeps the README's table of settings equal to the program's.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "\n## Settings\n")
	if !ok {
		t.Fatal(`README.md has no section "Settings"`)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "|") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	want := []string{"| variable | default | meaning |", "| --- | --- | --- |"}
	for _, r := range config.Describe() {
		def := ""
		if r.Default != "" {
			def = "`" + r.Default + "`"
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", r.Variable, def, strings.ReplaceAll(r.Meaning, "|", `\|`)))
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("the table of settings in README.md differs from the program's:\n%s\n\nwant:\n\n%s", g, w)
	}
}
