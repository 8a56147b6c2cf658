package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

// Vendor is the simulated wolkvox of a lab.
type Vendor struct {
	URL string // as WOLKVOX_URL
	IP  string // of StartVendorForHosts
	// Sim is the simulator of ServeVendor; nil for one in a process of its own.
	Sim  *wolkvoxtest.Server
	proc *Process
	file string
	lab  *Lab
}

// StartVendor starts the simulator in a process of its own, with flags of its command.
func (l *Lab) StartVendor(flags ...string) *Vendor {
	l.TB.Helper()
	v := &Vendor{lab: l, file: filepath.Join(l.Dir, "account.jsonl")}
	v.proc = start(l.TB, l.name("vendor"), l.Dir, l.bin.Simulate, l.environ(), append([]string{"--account", v.file}, flags...)...)
	v.URL = v.proc.WaitLine("/wv{server}", Patience)
	l.Vendor = v
	return v
}

// ServeVendor serves a simulator from this process, for scripts and holds.
func (l *Lab) ServeVendor(o wolkvoxtest.Options) *Vendor {
	l.TB.Helper()
	sim := wolkvoxtest.Start(l.TB, o)
	l.Vendor = &Vendor{lab: l, Sim: sim, URL: sim.URL}
	return l.Vendor
}

// Account returns the vendor's account as it is now.
func (v *Vendor) Account() wolkvoxtest.Account {
	v.lab.TB.Helper()
	if v.Sim != nil {
		return v.Sim.Account()
	}
	f, err := os.Open(v.file)
	if err != nil {
		v.lab.TB.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	a, err := wolkvoxtest.ReadAccount(f)
	if err != nil {
		v.lab.TB.Fatal(err)
	}
	return a
}

// AwaitRequests waits until the vendor has seen n requests.
func (v *Vendor) AwaitRequests(n int, timeout time.Duration) {
	v.lab.TB.Helper()
	v.Await(fmt.Sprintf("%d requests at the vendor", n), timeout, func(a wolkvoxtest.Account) bool { return a.Totals.Requests >= n })
}

// Await waits until the account is good.
func (v *Vendor) Await(what string, timeout time.Duration, good func(wolkvoxtest.Account) bool) {
	v.lab.TB.Helper()
	if v.Sim != nil {
		if timeout == 0 {
			timeout = Patience
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := v.Sim.Wait(ctx, good); err != nil {
			v.lab.TB.Fatalf("%s: not within %s: %+v", what, timeout, v.Sim.Account().Totals)
		}
		return
	}
	size := int64(-1)
	v.lab.Await(what, timeout, func(context.Context) (bool, string) {
		info, err := os.Stat(v.file)
		if err != nil || info.Size() == size {
			return false, fmt.Sprint("the account stands still: ", err)
		}
		size = info.Size()
		a := v.Account()
		return good(a), fmt.Sprintf("%+v", a.Totals)
	})
}

// Stop ends a vendor in a process of its own. If its account is not whole, the test fails.
func (v *Vendor) Stop() {
	v.lab.TB.Helper()
	v.proc.signal(syscall.SIGTERM)
	if code := v.proc.Wait(Patience); code != 0 {
		v.lab.TB.Fatalf("the vendor ended with %d: its account is not whole", code)
	}
}

// Key returns the name under which the account has a token.
func (v *Vendor) Key(token string) string {
	if v.Sim != nil {
		return token
	}
	return wolkvoxtest.TokenHash(token)
}

// Base returns the URL of a server of the vendor.
func (v *Vendor) Base(server string) string { return strings.ReplaceAll(v.URL, "{server}", server) }
