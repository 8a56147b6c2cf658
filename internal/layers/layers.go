// Command layers draws which of our packages import which, and its test holds them to the
// layers below.
//
//	go run ./internal/layers          print the picture
//	go run ./internal/layers -write   write it into docs/architecture.md
package main

import (
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// layer is a row of packages. A package imports only packages of lower layers and of its
// own group.
type layer struct {
	name   string
	groups []string // a path stands for itself and for what lies under it
	tests  bool     // for tests and tools: not in the picture
}

// layers are all packages, the highest first. If two groups match, the longer path wins.
var layers = []layer{
	{name: "commands", groups: []string{"cmd/worker", "cmd/enqueue"}},
	{name: "settings and progress of the commands", groups: []string{"internal/config", "internal/meter"}},
	{name: "tests' worlds", groups: []string{"internal/web/console/consoletest", "internal/web/api/apitest"}, tests: true},
	{name: "HTTP and local runs", groups: []string{"internal/web/api", "internal/web/console", "internal/localrun", "internal/webhook"}},
	{name: "what Go programs import", groups: []string{"tasks"}},
	{name: "a token's limits, for Go programs", groups: []string{"quota"}},
	{name: "mechanism and decisions", groups: []string{"internal/engine", "internal/control"}},
	{name: "recurring runs", groups: []string{"internal/schedule"}},
	{name: "state", groups: []string{"internal/ledger"}},
	{name: "rows", groups: []string{"internal/rows"}},
	{name: "ground", groups: []string{"internal/quota", "internal/vault", "internal/wolkvox", "internal/membership", "internal/breaker",
		"internal/web/guard", "internal/web/hub", "internal/localrun/wal", "internal/localrun/inproc", "internal/leasttime", "internal/seen", "internal/tracing"}},
	{name: "Redis", groups: []string{"internal/redisconn"}},
	{name: "scripts put together, connections, notifications, this machine told from others, numbers with their nouns, moments of a zone, this build",
		groups: []string{"internal/lualink", "internal/rawconn", "internal/nudge", "internal/loopback", "internal/say", "internal/wallclock", "internal/version"}},
	{name: "tests and tools", groups: []string{"internal/testkit", "internal/simtime", "internal/layers", "examples"}, tests: true},
}

const module = "habilita"

// imports returns our packages, by their folder, with what they import outside of tests. Ours stand there by folder too.
func imports() (map[string][]string, error) {
	list, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...").Output()
	of := map[string][]string{}
	for line := range strings.Lines(string(list)) {
		p := strings.Fields(line)
		for i := range p {
			p[i] = strings.TrimPrefix(p[i], module+"/")
		}
		of[p[0]] = p[1:]
	}
	return of, err
}

// under reports whether a path is the given one or lies under it.
func under(name, top string) bool { return name == top || strings.HasPrefix(name, top+"/") }

// groupOf returns the layer, from the top, and the group of a package. A layer below 0: none.
func groupOf(dir string) (at int, group string) {
	at = -1
	for i, l := range layers {
		for _, g := range l.groups {
			if under(dir, g) && len(g) > len(group) {
				at, group = i, g
			}
		}
	}
	return at, group
}

// reach adds to seen all that arrows lead to from here.
func reach(arrows map[string][]string, from string, seen map[string]bool) map[string]bool {
	for _, to := range arrows[from] {
		if !seen[to] {
			seen[to] = true
			reach(arrows, to, seen)
		}
	}
	return seen
}

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
	of, err := imports()
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
	arrows := map[string][]string{} // between groups
	for dir, all := range of {
		at, from := groupOf(dir)
		if at < 0 || layers[at].tests {
			continue
		}
		for _, i := range all {
			if below, to := groupOf(i); below >= 0 && to != from && !layers[below].tests {
				arrows[from] = append(arrows[from], to)
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
			fmt.Fprintf(&s, "    %s[%q]\n", node(g), g)
		}
		s.WriteString("  end\n")
	}
	for _, from := range slices.Sorted(maps.Keys(arrows)) {
		direct := slices.Compact(slices.Sorted(slices.Values(arrows[from])))
		for _, to := range direct {
			if !slices.ContainsFunc(direct, func(other string) bool { return reach(arrows, other, map[string]bool{})[to] }) {
				fmt.Fprintf(&s, "  %s --> %s\n", node(from), node(to))
			}
		}
	}
	s.WriteString("```\n")
	return s.String()
}

func node(group string) string { return strings.NewReplacer("/", "_", ".", "_").Replace(group) }
