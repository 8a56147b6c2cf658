package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// countingVendor starts a vendor to which others have made this many requests with these tokens
// today: wolkvox TOKEN USED...
func countingVendor(ts *testscript.TestScript, _ bool, args []string) {
	tokens := map[string]wolkvoxtest.Token{}
	for i := 0; i+1 < len(args); i += 2 {
		used, err := strconv.Atoi(args[i+1])
		ts.Check(err)
		tokens[args[i]] = wolkvoxtest.Token{Used: used}
	}
	v, err := wolkvoxtest.Listen("127.0.0.1:0", wolkvoxtest.Options{Tokens: tokens, Now: func() time.Time { return start }})
	ts.Check(err)
	ts.Defer(v.Close)
	ts.Value(worker{}).(*worker).vendor = v
	ts.Setenv("WOLKVOX_URL", v.URL)
}

// account checks how many requests the vendor saw, and that none broke a limit: account 2
func account(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := ts.Value(worker{}).(*worker).vendor.Account()
	if got.Totals.Requests != want || got.Totals.Refused != 0 || got.Totals.OverSlots != 0 {
		ts.Fatalf("the vendor saw %+v, want %d requests", got.Totals, want)
	}
	for _, r := range got.Records {
		if r.API != wolkvoxtest.TokenInfoAPI || r.Status != 200 {
			ts.Fatalf("the vendor saw %+v", r)
		}
	}
}

// logged checks the newest entry of the audit log: logged ACTION TARGET RESULT. If RESULT ends with *, it is a prefix.
func logged(ts *testscript.TestScript, _ bool, args []string) {
	allPage, err := control.NewAuditLog(ts.Value(worker{}).(*worker).rdb, prefix).Before(context.Background(), "", 1)
	all := allPage.Items
	ts.Check(err)
	if len(all) != 1 || len(args) != 3 || all[0].Action != args[0] || all[0].Target != args[1] ||
		!strings.HasPrefix(all[0].Result, strings.TrimSuffix(args[2], "*")) || !strings.HasSuffix(args[2], "*") && all[0].Result != args[2] {
		ts.Fatalf("the audit log has %+v, want %q", all, args)
	}
}

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
