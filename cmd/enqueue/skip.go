package main

import (
	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) skip() *cobra.Command {
	return a.decide(decision{
		name:  "skip",
		short: "Leave calls that were given up, and go on with the next ones",
		long: `Leave calls that were given up and that hold their chain, and go on with the calls behind them.
The command returns when the counts show what it did.`,
		example: `  enqueue skip --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue skip --batch november`,
		done: "skipped", noun: "call", act: (*control.Control).Skip,
	})
}
