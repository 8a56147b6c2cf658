package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"habilita/internal/config"
)

// TestSettingsPage keeps the table of docs/settings.md equal to the program's.
func TestSettingsPage(t *testing.T) {
	got := settingsRows(readPage(t, "docs/settings.md"))
	want := []string{"| variable | default | meaning |", "| --- | --- | --- |"}
	for _, r := range config.Describe() {
		want = append(want, settingStart(r.Variable, r.Default)+strings.ReplaceAll(r.Meaning, "|", `\|`)+" |")
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("the table of docs/settings.md differs from the program's:\n%s\n\nwant:\n\n%s", g, w)
	}
}

// TestReadmeIsShort keeps both READMEs short enough to be read.
func TestReadmeIsShort(t *testing.T) {
	const words = 900
	for _, name := range []string{"README.md", "README.es.md"} {
		if n := len(strings.Fields(readPage(t, name))); n > words {
			t.Errorf("%s has %d words", name, n)
		}
	}
}

// TestTranslationsAgree notices a part of a page that is missing in its translation.
func TestTranslationsAgree(t *testing.T) {
	for _, page := range []string{"README", "docs/days-work"} {
		en, es := outline(readPage(t, page+".md")), outline(readPage(t, page+".es.md"))
		for i := range max(len(en), len(es)) {
			var a, b string
			if i < len(en) {
				a = en[i]
			}
			if i < len(es) {
				b = es[i]
			}
			if a != b {
				t.Fatalf("%s.md and its translation part at their part %d:\n%q\n%q", page, i+1, a, b)
			}
		}
		if !slices.ContainsFunc(en, func(part string) bool { return strings.HasPrefix(part, "    ") }) {
			t.Errorf("%s.md: no code block was found", page)
		}
	}
}

// TestLinks checks the pages and headings that the READMEs and the guide link to.
func TestLinks(t *testing.T) {
	pages := []string{"../../README.md", "../../README.es.md"}
	for _, folder := range []string{"docs", "docs/decisions"} {
		found, err := filepath.Glob("../../" + folder + "/*.md")
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages in %s: %v", folder, err)
		}
		pages = append(pages, found...)
	}
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fencedCode.ReplaceAllString(string(text), ""), -1) {
			target := page
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page), m[1])
			}
			other, err := os.ReadFile(target)
			if info, serr := os.Stat(target); serr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s leads to %s: %v", page, m[1], err)
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(string(other)), m[2]) {
				t.Errorf("%s leads to %s%s, which is no heading there", page, m[1], m[2])
			}
		}
	}
}

var fencedCode = regexp.MustCompile("(?ms)^```.*?^```$")

// anchors are the links to a page's headings.
func anchors(page string) []string {
	var all []string
	for line := range strings.Lines(page) {
		if _, heading, ok := strings.Cut(line, "# "); ok && strings.HasPrefix(line, "#") {
			words := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			all = append(all, "#"+strings.ReplaceAll(words, " ", "-"))
		}
	}
	return all
}

// outline returns, in order, what a translation leaves as it is: the level of each heading, each line of code without its
// comment, and the number of cells in each row of a table.
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
			code, _, _ := strings.Cut(line, " # ") // comments are translated
			parts = append(parts, strings.TrimRight(code, " "))
		case strings.HasPrefix(line, "#"):
			level, _, _ := strings.Cut(line, " ")
			parts = append(parts, level)
		case strings.HasPrefix(line, "|"):
			parts = append(parts, fmt.Sprintf("row of %d", strings.Count(line, "|")-1))
		}
	}
	return parts
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// settingsRows returns the lines of a page's first table.
func settingsRows(page string) []string {
	var rows []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "|") {
			rows = append(rows, strings.TrimSuffix(line, "\n"))
		} else if len(rows) > 0 {
			break
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
