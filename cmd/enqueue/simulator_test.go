package main

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"habilita/internal/testkit/wolkvoxtest"
)

// simulated is the key of a story's simulated vendor.
type simulated struct{}

// simulator starts a vendor for the story, or checks how many requests it had: simulator 3.
func simulator(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 0:
		s, err := wolkvoxtest.Listen("127.0.0.1:0", wolkvoxtest.Options{})
		ts.Check(err)
		ts.Defer(s.Close)
		ts.Setenv("WOLKVOX_URL", s.URL)
		ts.Value(simulated{}).(*story).vendor = s
	case !neg && len(args) == 1:
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		if n := ts.Value(simulated{}).(*story).vendor.Account().Totals.Requests; n != want {
			ts.Fatalf("%d requests, want %d", n, want)
		}
	default:
		ts.Fatalf("usage: simulator [REQUESTS]")
	}
}

// story holds what a story starts.
type story struct{ vendor *wolkvoxtest.Server }
