package docstest

import (
	"fmt"
	"testing"

	"github.com/spf13/cobra"
)

func TestFind(t *testing.T) {
	const page = "Text with `tool list --all` and `other list`.\n\n" +
		"    (umask 077 && tool make > file); KEY=$(tool key) tool list \\\n" +
		"        --name 'a b' --all   # tool nothing\n" +
		"    go run ./cmd/tool list 2> log &\n" +
		"```sh\ntool key | tool list\n```\n```go\ntool()\n```\n"
	var got []string
	for _, c := range find(page, "tool") {
		got = append(got, fmt.Sprintf("%d %q %v", c.line, c.args, c.whole))
	}
	want := []string{
		`1 ["list" "--all"] false`, `4 ["make"] true`, `4 ["key"] true`, `4 ["list" "--name" "a b" "--all"] true`,
		`5 ["list"] true`, `7 ["key"] true`, `7 ["list"] true`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestFault(t *testing.T) {
	newRoot := func() *cobra.Command {
		root := &cobra.Command{Use: "tool", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {}}
		list := &cobra.Command{Use: "list NAME", Args: cobra.ExactArgs(1), Run: func(*cobra.Command, []string) {}}
		list.Flags().Int("most", 0, "")
		root.AddCommand(list)
		return root
	}
	for _, c := range []struct {
		args            []string
		whole, sentence bool // whether it is right as a line of code, and in a sentence
	}{
		{[]string{"list", "a", "--most", "3"}, true, true},
		{[]string{"list", "--most", "N"}, false, true},
		{[]string{"list"}, false, true},
		{[]string{"list", "a", "--least"}, false, false},
		{[]string{"lst"}, false, false},
	} {
		if err := fault(newRoot(), c.args, true); (err == nil) != c.whole {
			t.Errorf("line %q: %v", c.args, err)
		}
		if err := fault(newRoot(), c.args, false); (err == nil) != c.sentence {
			t.Errorf("sentence %q: %v", c.args, err)
		}
	}
}
