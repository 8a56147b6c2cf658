package main

import (
	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) cancel() *cobra.Command {
	return a.decide(decision{
		name:  "cancel",
		short: "Take calls out that have no result yet",
		long: `Take calls out. --batch takes the batch's calls out wherever they wait, and lets no
later rows of it in; --chain all calls of a chain, held or not; --server and --all those of
held chains. A call that is at the vendor is left to end. It returns after the counts show
what it did.`,
		example: `  enqueue cancel --batch november
  enqueue cancel --chain 7vqk2m4xg5t3zr6hd2b2ncw5`,
		done: "cancelled", noun: "call", act: (*control.Control).Cancel,
	})
}
