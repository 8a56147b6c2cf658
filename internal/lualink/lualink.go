// Package lualink puts Redis scripts together. Redis makes every function of a script's text
// anew each time that it runs the script, so a script is best without those it does not use.
//
// A library is Lua whose top level has nothing but
//
//	local function name(...)            a function, which ends with the next line that is "end"
//	function table.name(...)            the same, of a table that says "local table = {}"
//	local NAME = 500                    a number or a text: stands for itself where it is used
//	local NAME = { one = 1, two = 2 }   names of numbers: NAME.one stands for 1
//	local NAME = expression             anything else, on one line
//
// and comments. Names of the top level are used nowhere for anything else, but for fields. The libraries'
// names are local to the script, and a name stands before its use.
package lualink

import (
	"fmt"
	"regexp"
	"strings"
)

// Script returns a script of those parts of the libraries, in their order, that main needs, and of main.
// It panics where a library has another form: its text is part of the program.
func Script(main string, libraries ...string) string {
	var l linker
	l.known = map[string]*part{}
	for _, text := range libraries {
		l.read(text)
	}
	main = l.use(strip(main))
	var all strings.Builder
	for _, p := range l.parts {
		if p.used {
			all.WriteString(p.text)
		}
	}
	all.WriteString(main)
	return all.String()
}

// part is a definition of a library.
type part struct {
	name  string
	text  string // without comments
	value string // of a constant: what stands for it
	used  bool
}

type linker struct {
	parts []*part
	known map[string]*part
}

var (
	function = regexp.MustCompile(`^(?:local )?function ([\w.]+)\(`)
	variable = regexp.MustCompile(`^local (\w+) = (.*)$`)
	constant = regexp.MustCompile(`^(?:-?\d+|'[^']*')$`)
	number   = regexp.MustCompile(`(\w+) = (\d+)`)
	names    = regexp.MustCompile(`^\{ (?:\w+ = \d+,? ?)+\}$`)
	comment  = regexp.MustCompile(`\s*--.*`)
	// word is a name, or a table's name and that of its field. One after a point is a field.
	word = regexp.MustCompile(`\.?\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?`)
)

// strip takes comments and empty lines out.
func strip(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if line = comment.ReplaceAllString(strings.TrimRight(line, "\n"), ""); line != "" {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

func (l *linker) read(text string) {
	lines := strings.SplitAfter(strip(text), "\n")
	for i := 0; i < len(lines)-1; i++ {
		first := lines[i]
		p := &part{text: first}
		if m := function.FindStringSubmatch(first); m != nil {
			p.name = m[1]
			for !strings.HasSuffix(first, " end\n") && lines[i] != "end\n" {
				if i++; i == len(lines)-1 {
					panic(fmt.Sprintf("lualink: %s has no end", p.name))
				}
				p.text += lines[i]
			}
			l.add(p)
			continue
		}
		for strings.Count(p.text, "{") > strings.Count(p.text, "}") { // a table over several lines
			i++
			p.text = strings.TrimSuffix(p.text, "\n") + " " + strings.TrimSpace(lines[i]) + "\n"
		}
		m := variable.FindStringSubmatch(strings.TrimSuffix(p.text, "\n"))
		if m == nil {
			panic(fmt.Sprintf("lualink: %q is no definition", first))
		}
		p.name = m[1]
		switch value := m[2]; {
		case constant.MatchString(value):
			p.value = value
			l.add(p)
		case names.MatchString(value):
			for _, n := range number.FindAllStringSubmatch(value, -1) {
				l.add(&part{name: p.name + "." + n[1], value: n[2]})
			}
		case value != "{}" || !strings.Contains(text, "\nfunction "+p.name+"."): // each function of a table is a name of its own
			l.add(p)
		}
	}
}

func (l *linker) add(p *part) {
	if before := l.known[p.name]; before != nil {
		if before.text != p.text {
			panic(fmt.Sprintf("lualink: %s is there twice", p.name))
		}
		return
	}
	l.parts, l.known[p.name] = append(l.parts, p), p
}

// use marks what a text needs, and returns it with constants in their place.
func (l *linker) use(text string) string {
	return word.ReplaceAllStringFunc(text, func(w string) string {
		p, rest := l.known[w], ""
		if p == nil {
			table, field, _ := strings.Cut(w, ".")
			if p = l.known[table]; p == nil || table == "" {
				return w
			}
			rest = "." + field
		}
		if p.value != "" {
			return p.value + rest
		}
		if !p.used {
			p.used = true
			p.text = strings.Replace(l.use(p.text), "function "+p.name, "function "+local(p.name), 1)
			if strings.HasPrefix(p.text, "function") {
				p.text = "local " + p.text
			}
		}
		return local(p.name) + rest
	})
}

// local is the name of a local function: table.name has one too.
func local(name string) string { return strings.ReplaceAll(name, ".", "_") }
