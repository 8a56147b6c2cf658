// Package docstest checks the command lines in the READMEs, docs and help texts against the commands.
package docstest

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noCommands are pieces of code that begin with a command's name but are not commands.
var noCommands = []string{
	"enqueue batch", // a span
}

// Commands fails t for each line of the pages that calls the command with a subcommand, a flag or a number of arguments that
// it does not have. In a sentence, arguments and values may be left out. newRoot makes the command anew for each line.
func Commands(t *testing.T, name, repository string, newRoot func() *cobra.Command) {
	t.Helper()
	var pages []string
	for _, pattern := range []string{"README*.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range find(string(text), name) {
			seen++
			if err := fault(newRoot(), c.args, c.whole); err != nil {
				t.Errorf("%s, line %d: %s %s: %v", filepath.Base(page), c.line, name, strings.Join(c.args, " "), err)
			}
		}
	}
	if seen == 0 {
		t.Errorf("no page shows the command %s", name)
	}
}

// Examples does the same for the examples in the help of the command and of each of its subcommands.
func Examples(t *testing.T, newRoot func() *cobra.Command) {
	t.Helper()
	root := newRoot()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range find("  "+strings.ReplaceAll(cmd.Example, "\n", "\n  "), root.Name()) {
			if err := fault(newRoot(), c.args, c.whole); err != nil {
				t.Errorf("%s --help: %s %s: %v", cmd.CommandPath(), root.Name(), strings.Join(c.args, " "), err)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

type command struct {
	line  int
	args  []string
	whole bool // a line of code, not a piece of code in a sentence
}

var (
	inSentence = regexp.MustCompile("`([^`]+)`")
	comment    = regexp.MustCompile(`(^|\s)#.*$`)
)

// find returns the calls of a command on a page, in blocks of code and in sentences.
func find(page, name string) []command {
	var all []command
	var fence, begun string
	for i, line := range strings.Split(page, "\n") {
		if strings.HasPrefix(line, "```") {
			if fence == "" {
				fence = line
			} else {
				fence = ""
			}
			continue
		}
		switch {
		case fence == "```sh", fence == "" && strings.HasPrefix(line, "    "):
			line = begun + comment.ReplaceAllString(line, "")
			if rest, more := strings.CutSuffix(line, `\`); more {
				begun = rest
				continue
			}
			begun = ""
			for _, words := range calls(line) {
				if args, ok := argsOf(words, name); ok {
					all = append(all, command{i + 1, args, true})
				}
			}
		case fence == "":
			for _, m := range inSentence.FindAllStringSubmatch(line, -1) {
				if slices.Contains(noCommands, m[1]) {
					continue
				}
				for _, words := range calls(m[1]) {
					if args, ok := argsOf(words, name); ok {
						all = append(all, command{i + 1, args, false})
					}
				}
			}
		}
	}
	return all
}

// calls splits a line of shell into calls, and each call into words, without redirections.
func calls(line string) [][]string {
	var all [][]string
	var words []string
	var word strings.Builder
	begun, quote := false, rune(0)
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ' || r == '\t':
			end()
		case strings.ContainsRune("|;&()", r):
			end()
			all, words = append(all, words), nil
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	end()
	all = append(all, words)
	for i, words := range all {
		if at := slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w, "<>") }); at >= 0 {
			all[i] = words[:at]
		}
	}
	return all
}

var assignment = regexp.MustCompile(`^[A-Z_]+=`)

// argsOf returns the arguments of a call, if it calls the command by its name or by go run.
func argsOf(words []string, name string) ([]string, bool) {
	for len(words) > 0 && assignment.MatchString(words[0]) {
		words = words[1:]
	}
	if len(words) >= 3 && words[0] == "go" && words[1] == "run" {
		words = words[2:]
		words[0] = strings.TrimPrefix(words[0], "./cmd/")
	}
	if len(words) == 0 || words[0] != name {
		return nil, false
	}
	return words[1:], true
}

// fault says what args use that the command does not have.
func fault(root *cobra.Command, args []string, whole bool) error {
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	err = cmd.ParseFlags(rest)
	if unknown := new(pflag.NotExistError); errors.As(err, &unknown) || whole && err != nil {
		return err
	}
	given := cmd.Flags().Args()
	if whole || cmd.HasSubCommands() && len(given) > 0 {
		return cmd.ValidateArgs(given)
	}
	return nil
}
