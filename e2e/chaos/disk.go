package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"habilita/e2e"
)

func diskRows(of func(whole, ci int) int) []row {
	return []row{{
		name: "disk full under `enqueue run`, then room again", dose: fmt.Sprint(of(30, 3), " disks"), took: 20 * second,
		units: shared(of(30, 3), 6, fillDisks),
	}}
}

// fillDisks works off n files of 288 calls, each on a file system that runs full: at the start, at
// the results, or anywhere in the write-ahead log. The run ends with the disk's error, and goes on
// when there is room. No outcome is unknown, so no request may be extra.
func fillDisks(u *unit, n int) {
	const enough = 16 << 10
	before := 0
	for i := range n {
		l := e2e.NewLocal(u.TB)
		disk := l.SmallDisk(enough)
		if disk == nil {
			u.sum.note("not run: this user may not mount a file system")
			return
		}
		l.StartVendor("--latency=5ms", "--jitter=10ms", "--licenses=5", fmt.Sprint("--seed=", u.rand.Uint32()))
		secret := fmt.Sprintf("secret-%08x%08x-", u.rand.Uint32(), u.rand.Uint32())
		token := func(i int) string { return fmt.Sprintf("%s%04d", secret, i) }
		p := e2e.Plan{Batch: fmt.Sprint("disk", i), Rows: e2e.Chained(3, e2e.Many(12, 24, token))}
		file := l.File(filepath.Join(filepath.Base(disk.Dir), p.Batch+".csv"), p.CSV())
		// A page is 4 KiB, and the file takes 12 pages.
		disk.Resize(48 + 4*u.rand.IntN(60))
		r := l.Enqueue("run", file, "--progress", "none")
		full := r.Exit == 1 && strings.Contains(r.Stderr, "no space left on device")
		if full {
			before++
		} else if r.Exit != 0 {
			u.Errorf("%s", r)
		}
		requests := l.Vendor.Account().Totals.Requests
		told := map[string]bool{}
		for _, c := range l.Results(file) {
			told[c.ID] = c.Succeeded()
		}
		disk.Resize(enough)
		if r := l.Enqueue("run", file, "--progress", "none"); r.Exit != 0 {
			u.Errorf("%s", r)
		}
		l.Vendor.Stop()
		a := l.Vendor.Account()
		for _, again := range a.Records[requests:] {
			if told[again.Call] {
				u.Logf("I1: %s was told as done and made again", again.Call)
				u.sum.breaks("I1", 1)
			}
		}
		v := l.JudgeLocal(e2e.Terms{}, p, file)
		if v.Succeeded != len(p.Rows) || v.Requests != len(p.Rows) {
			u.Logf("I4: %+v", v)
			u.sum.breaks("I4", 1)
		}
		u.judged(v, l.Leaks(secret, file))
	}
	u.sum.note("%d of %d ended for want of room", before, n)
}
