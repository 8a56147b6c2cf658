package main

import "github.com/spf13/cobra"

func demoCommand(e env) *cobra.Command { return &cobra.Command{Use: "demo"} }
