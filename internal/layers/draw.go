package main

import (
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
)

const (
	docsFile = "docs/architecture.md"
	begin    = "<!-- the packages: go run ./internal/layers -write -->\n"
	end      = "<!-- the end of the packages -->\n"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("layers: ")
	write := flag.Bool("write", false, "write the picture into "+docsFile+" of the current folder")
	flag.Parse()
	of, err := imports(".")
	if err == nil && *write {
		err = writePicture(picture(of))
	} else if err == nil {
		fmt.Print(picture(of))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func writePicture(picture string) error {
	old, err := os.ReadFile(docsFile)
	if err != nil {
		return err
	}
	text, err := withPicture(string(old), picture)
	if err != nil {
		return err
	}
	return os.WriteFile(docsFile, []byte(text), 0o644)
}

// withPicture puts a picture in the place of the one that a text has.
func withPicture(text, picture string) (string, error) {
	before, rest, ok := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return "", fmt.Errorf("%s lacks the line %q or %q", docsFile, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + picture + "\n" + end + after, nil
}

// picture draws the groups by layers, without those for tests. An arrow is left out if a way by other arrows leads to
// the same group.
func picture(of map[string][]string) string {
	edges := map[string]map[string]bool{}
	for dir, all := range of {
		at, from := groupOf(dir)
		if at < 0 || layers[at].tests {
			continue
		}
		if edges[from] == nil {
			edges[from] = map[string]bool{}
		}
		for _, i := range all {
			if dir, ok := ours(i); ok {
				if below, to := groupOf(dir); below >= 0 && to != from && !layers[below].tests {
					edges[from][to] = true
				}
			}
		}
	}
	var s strings.Builder
	s.WriteString("```mermaid\nflowchart TB\n")
	for i, l := range layers {
		if l.tests {
			continue
		}
		fmt.Fprintf(&s, "  subgraph L%d [%q]\n", i, l.name)
		for _, g := range l.groups {
			if edges[g] == nil {
				continue
			}
			fmt.Fprintf(&s, "    %s[%q]\n", node(g), g)
		}
		s.WriteString("  end\n")
	}
	for _, from := range slices.Sorted(maps.Keys(edges)) {
		for _, to := range slices.Sorted(maps.Keys(edges[from])) {
			if !roundabout(edges, from, to) {
				fmt.Fprintf(&s, "  %s --> %s\n", node(from), node(to))
			}
		}
	}
	s.WriteString("```\n")
	return s.String()
}

func node(group string) string { return strings.NewReplacer("/", "_", ".", "_").Replace(group) }

// roundabout reports whether a way by at least two arrows leads there.
func roundabout(edges map[string]map[string]bool, from, to string) bool {
	seen := map[string]bool{}
	var follow func(at string)
	follow = func(at string) {
		for next := range edges[at] {
			if !seen[next] && (at != from || next != to) {
				seen[next] = true
				follow(next)
			}
		}
	}
	follow(from)
	return seen[to]
}
