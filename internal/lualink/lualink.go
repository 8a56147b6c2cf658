// Package lualink puts Redis scripts together. Each time Redis runs a script, it makes every
// function of the script's text anew. So a script is best without those it does not use.
//
// A library is Lua whose top level has nothing but
//
//	local function name(...)            a function, which ends with the next line that is "end"
//	function table.name(...)            the same, of a table that says "local table = {}"
//	local function name(...) -- rare    one that few executions need: a script makes all of these when it uses the first
//	local NAME = 500                    a number or a text, which replaces its name
//	local NAME = { one = 1, two = 'b' } names of numbers and texts: NAME.one stands for 1, and NAME.three is an error
//	local NAME = expression             anything else; a table may take several lines
//
// and comments. A name of the top level stands before its use, and is used for nothing else but fields.
// No text has "--" in it.
package lualink

import (
	"fmt"
	"strings"
)

// rare marks the first line of a function that few executions of a script need.
const rare = "-- rare"

// Library is what scripts may use. It is safe for concurrent use.
type Library struct {
	parts []part
	known map[string]int  // name -> its part
	names map[string]bool // tables of constants, which are nothing else
}

// part is a definition.
type part struct {
	name  string // as it stands in a script
	text  string
	value string // of a constant: what stands for it
	rare  bool
	uses  []int
}

// Parse reads a library from texts that follow each other. It panics if a text has another form, a name is there
// twice, or a table of constants lacks a name that is used: the texts are a part of the program.
func Parse(texts ...string) *Library {
	l := &Library{known: map[string]int{}, names: map[string]bool{}}
	for _, text := range texts {
		l.read(text)
	}
	return l
}

// Script returns a script that is what main uses of the library, and main.
func (l *Library) Script(main string) string {
	main, uses := l.resolve(strip(main), false)
	used := make([]bool, len(l.parts))
	var use func(parts []int)
	use = func(parts []int) {
		for _, i := range parts {
			if !used[i] {
				used[i] = true
				use(l.parts[i].uses)
			}
		}
	}
	use(uses)
	var all, seldom, names strings.Builder
	for i, p := range l.parts {
		switch {
		case !used[i]:
		case p.rare:
			seldom.WriteString(p.text)
			fmt.Fprintf(&names, "%s = %s, ", p.name, p.name)
		default:
			all.WriteString(p.text)
		}
	}
	if names.Len() == 0 {
		return all.String() + main
	}
	return "local rare, made\n" + all.String() +
		"rare = function()\nif made then return made end\n" + seldom.String() + "made = { " + names.String() + "}\nreturn made\nend\n" +
		main
}

// strip removes comments, except rare, and empty lines.
func strip(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	for line := range strings.Lines(text) {
		line, isRare := strings.CutSuffix(strings.TrimRight(line, "\n"), rare)
		line, _, _ = strings.Cut(line, "--")
		if line = strings.TrimRight(line, " "); line != "" {
			out.WriteString(line)
			if isRare {
				out.WriteString(rare)
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// read adds the definitions of a text.
func (l *Library) read(text string) {
	rest := strip(text)
	line := func() string {
		first, after, _ := strings.Cut(rest, "\n")
		rest = after
		return first
	}
	tables := map[string]bool{} // of functions, or empty
	for rest != "" {
		first, isRare := strings.CutSuffix(line(), rare)
		name, function := strings.CutPrefix(strings.TrimPrefix(first, "local "), "function ")
		if function {
			name, _, _ = strings.Cut(name, "(")
			body := first + "\n"
			for last := first; last != "end" && !strings.HasSuffix(first, " end"); {
				if rest == "" {
					panic(fmt.Sprintf("lualink: %s has no end", name))
				}
				last = line()
				body += last + "\n"
			}
			if table, _, ok := strings.Cut(name, "."); ok && !tables[table] {
				panic(fmt.Sprintf("lualink: there is no table for %s", name))
			}
			if strings.HasPrefix(body, "function ") {
				body = "local " + body
			}
			l.add(name, part{text: body, rare: isRare})
			continue
		}
		name, value, ok := strings.Cut(name, " = ")
		if !ok || !strings.HasPrefix(first, "local ") || strings.Contains(name, ",") {
			panic(fmt.Sprintf("lualink: %q is no definition", first))
		}
		for strings.Count(value, "{") > strings.Count(value, "}") {
			value += " " + strings.TrimSpace(line())
		}
		switch {
		case isConstant(value):
			l.add(name, part{value: value})
		case value == "{}" && strings.Contains(rest, "\nfunction "+name+"."):
			tables[name] = true
		case !l.addNames(name, value):
			l.add(name, part{text: "local " + name + " = " + value + "\n"})
		}
	}
}

// isConstant reports whether a value is a number or a text.
func isConstant(value string) bool {
	if len(value) > 1 && value[0] == '\'' {
		return strings.IndexByte(value[1:], '\'') == len(value)-2
	}
	return value != "" && strings.Trim(value, "0123456789") == ""
}

// addNames adds the names of a table of constants; false if it is another table.
func (l *Library) addNames(table, value string) bool {
	inner, open := strings.CutPrefix(value, "{ ")
	inner, closed := strings.CutSuffix(inner, " }")
	if !open || !closed {
		return false
	}
	entries := strings.Split(strings.TrimSuffix(inner, ","), ", ")
	for _, e := range entries {
		if name, value, _ := strings.Cut(e, " = "); !isConstant(value) || wordEnd(name, 0) != len(name) {
			return false
		}
	}
	for _, e := range entries {
		name, value, _ := strings.Cut(e, " = ")
		l.add(table+"."+name, part{value: value})
	}
	l.names[table] = true
	return true
}

func (l *Library) add(name string, p part) {
	if _, again := l.known[name]; again {
		panic(fmt.Sprintf("lualink: %s is there twice", name))
	}
	l.known[name] = len(l.parts)
	p.name = strings.ReplaceAll(name, ".", "_")
	p.text, p.uses = l.resolve(p.text, p.rare)
	l.parts = append(l.parts, p)
}

// resolve replaces names of constants by their values, gives each function of a table a name of its own, and makes rare
// functions come from rare(). It returns the parts that a text uses. inRare: the text is that of a rare function, which
// has the others beside it.
func (l *Library) resolve(text string, inRare bool) (string, []int) {
	var (
		out  strings.Builder
		uses []int
	)
	out.Grow(len(text))
	for i := 0; i < len(text); {
		c := text[i]
		end := i + 1
		switch {
		case c == '\'':
			end += strings.IndexByte(text[end:], '\'') + 1
		case c >= '0' && c <= '9':
			end = wordEnd(text, i)
		case isWord(c):
			end = wordEnd(text, i)
			if i > 0 && text[i-1] == '.' && (i == 1 || text[i-2] != '.') {
				break // a field
			}
			word, long := text[i:end], end
			if end+1 < len(text) && text[end] == '.' && isWord(text[end+1]) {
				long = wordEnd(text, end+1)
			}
			n, ok := l.known[text[i:long]]
			if ok {
				word, end = text[i:long], long
			} else if l.names[word] {
				panic(fmt.Sprintf("lualink: there is no %s", text[i:long]))
			} else if n, ok = l.known[word]; !ok {
				break
			}
			switch {
			case n < len(l.parts) && l.parts[n].value != "":
				out.WriteString(l.parts[n].value)
			case n < len(l.parts) && l.parts[n].rare && !inRare:
				out.WriteString("rare().")
				fallthrough
			default:
				out.WriteString(strings.ReplaceAll(word, ".", "_"))
				uses = append(uses, n)
			}
			i = end
			continue
		}
		out.WriteString(text[i:end])
		i = end
	}
	return out.String(), uses
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// wordEnd returns where the word that begins at i ends.
func wordEnd(text string, i int) int {
	for i < len(text) && isWord(text[i]) {
		i++
	}
	return i
}
