package main

import (
	"github.com/spf13/cobra"

	"habilita/internal/control"
)

func (a *app) retry() *cobra.Command {
	return a.decide(decision{
		name:  "retry",
		short: "Try again calls that were given up",
		long: `Try calls again that were given up and that hold their chain, each with a new budget of
attempts. The command returns when the counts show what it did.`,
		example: `  enqueue retry --batch november
  enqueue retry --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue retry --server 0042`,
		done: "retried", noun: "call", act: (*control.Control).Retry,
	})
}
