package main

import (
	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) cancel() *cobra.Command {
	return a.decide(decision{
		name:  "cancel",
		short: "Cancel calls that have no result yet",
		long: `Cancel calls that have no result yet: they are not made. A call that is at the vendor may end.

--batch cancels all calls of a batch and refuses later rows of it ("enqueue reopen" undoes
that). --chain cancels all calls of a chain, held or not. --server and --all cancel those of
held chains. The command returns when the counts show what it did.`,
		example: `  enqueue cancel --batch november
  enqueue cancel --chain 7vqk2m4xg5t3zr6hd2b2ncw5`,
		done: "cancelled", noun: "call", act: (*control.Control).Cancel,
	})
}
