package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"habilita/e2e"
)

func inputRows(of func(whole, ci int) int) []row {
	n := of(1_000_000, 50_000)
	return []row{
		{
			name: "malformed input: mutated rows", dose: fmt.Sprintf("%d rows, half CSV, half JSON Lines", n), took: 60 * second, alone: true,
			units: []func(u *unit){
				func(u *unit) { mutateRows(u, n/2, csvRow, "server,token,licenses,chain,ref,id\n", ".csv") },
				func(u *unit) { mutateRows(u, n/2, jsonRow, "", ".jsonl") },
				func(u *unit) { mutatedBulk(u, of(50_000, 5_000)) },
			},
		},
		{
			name: "malformed input: HTTP API", dose: fmt.Sprint(of(10_000, 1_000), " mutated requests"), took: 60 * second,
			units: []func(u *unit){func(u *unit) { mutatedRequests(u, of(10_000, 1_000)) }},
		},
		{
			name: "malformed input: go test -fuzz of each decoder", dose: fmt.Sprint(len(decoders), " for 20 s each"), took: 20 * second, alone: true,
			units: fuzzUnits(of),
		},
	}
}

// decoders are the fuzz tests of everything that reads what others wrote. go test ./...
// runs their seeds, so the small dose leaves them out.
var decoders = []struct{ pkg, test string }{
	{"./tasks", "FuzzDecodeTask"},
	{"./internal/wolkvox", "FuzzDecodeEnvelope"}, {"./internal/wolkvox", "FuzzParseServer"},
	{"./internal/rows", "FuzzCSV"}, {"./internal/rows", "FuzzJSONLines"},
	{"./internal/rows", "FuzzSplitAgainstEncodingCSV"}, {"./internal/rows", "FuzzScanAgainstEncodingJSON"},
	{"./internal/ledger", "FuzzDecode"}, {"./internal/ledger", "FuzzParseCallID"},
	{"./internal/vault", "FuzzOpen"}, {"./internal/vault", "FuzzParseKeys"},
	{"./internal/redisconn", "FuzzPasswordsStayHidden"}, {"./internal/web/api", "FuzzCallBody"},
}

func fuzzUnits(of func(whole, ci int) int) []func(u *unit) {
	var units []func(u *unit)
	for _, d := range decoders[:of(len(decoders), 0)] {
		units = append(units, func(u *unit) {
			u.goTool(nil, "test", "-run", "^$", "-fuzz", "^"+d.test+"$", "-fuzztime", "20s", "-parallel", "2", d.pkg)
		})
	}
	return units
}

// goTool runs the go command at the module's root; it must succeed.
func (u *unit) goTool(env []string, args ...string) string {
	u.Helper()
	root, err := e2e.Root()
	if err != nil {
		u.Fatal(err)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out[max(0, len(out)-4000):])
	}
	return string(out)
}

func csvRow(r *rand.Rand, i int) string {
	return fmt.Sprintf("%04d,token-%d,%d,chain-%d,ref %d,id-%d", r.IntN(300), r.IntN(100), 1+r.IntN(9), r.IntN(3), i, i)
}

func jsonRow(r *rand.Rand, i int) string {
	return fmt.Sprintf(`{"server":"%04d","token":"token-%d","licenses":%d,"ref":"ref %d","id":"id-%d"}`, r.IntN(300), r.IntN(100), 1+r.IntN(9), i, i)
}

// mutate changes a row in one to three places. It never adds a line feed, so the result is still one row.
func mutate(r *rand.Rand, row string) []byte {
	const special = "\"',;\t\r{}[]:\\ \x00\xff\xef\xbb\xbf\xc3-0"
	b := []byte(row)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b))
		c := special[r.IntN(len(special))]
		if r.IntN(2) == 0 {
			c = byte(r.Uint32())
		}
		if c == '\n' {
			c = ','
		}
		switch r.IntN(5) {
		case 0:
			b[at] = c
		case 1:
			b = append(b[:at], append([]byte{c}, b[at:]...)...)
		case 2:
			b = append(b[:at], b[at+1:]...)
		case 3:
			b = append(b, b[at:]...) // surplus fields
		case 4:
			b = b[:at]
		}
		if len(b) == 0 {
			b = []byte{'x'} // a blank line is not a row
		}
	}
	if strings.TrimSpace(string(b)) == "" {
		return []byte{'x'}
	}
	return b
}

// writeRows writes n rows. Two in three of them are mutated.
func writeRows(to io.Writer, r *rand.Rand, n int, make func(r *rand.Rand, i int) string, header string) error {
	w := bufio.NewWriterSize(to, 1<<16)
	_, _ = w.WriteString(header) // errors come from Flush
	for i := range n {
		row := []byte(make(r, i))
		if i > 0 && r.IntN(3) > 0 {
			row = mutate(r, string(row))
		}
		_, _ = w.Write(append(row, '\n'))
	}
	return w.Flush()
}

// mutateRows gives mutated rows to the enqueue command, which only checks them. It gives a tenth
// first, then all, which must not take more memory.
func mutateRows(u *unit, n int, row func(r *rand.Rand, i int) string, header, ext string) {
	bin, err := e2e.Build()
	if err != nil {
		u.Fatal(err)
	}
	var peak [2]int64 // KiB
	for i, n := range []int{n / 10, n} {
		cmd := exec.Command(bin.Enqueue, "bulk", "-", "--batch", "mutated"+ext, "--dry-run", "--json", "--progress", "none")
		in, err := cmd.StdinPipe()
		if err != nil {
			u.Fatal(err)
		}
		var out strings.Builder
		cmd.Stdout, cmd.Stderr, cmd.Env = &out, io.Discard, []string{"HOME=" + u.TempDir()}
		if err := cmd.Start(); err != nil {
			u.Fatal(err)
		}
		writeErr := writeRows(in, u.rand, n, row, header)
		peak[i] = peakMemory(u, cmd.Process.Pid)
		_ = in.Close()
		err = cmd.Wait()
		var s e2e.Summary
		if decodeErr := json.Unmarshal([]byte(out.String()), &s); writeErr != nil || decodeErr != nil || cmd.ProcessState.ExitCode() != 3 {
			u.Fatalf("%v, %v, %v: %s", writeErr, err, decodeErr, out.String())
		}
		accepted := s.Rows - s.Rejected
		// A mutation may leave nothing but separators: that is a blank row, which does not count.
		if s.Rows > n || s.Rows < n-n/100 || s.Rejected == 0 || accepted < n/3 {
			u.Logf("I6: %d rows were written: %+v", n, s)
			u.sum.breaks("I6", 1)
		}
		if i == 1 {
			u.sum.note("%s: %d rows accepted + %d rejected = %d; %d MiB at most, %d MiB for a tenth of the rows",
				ext, accepted, s.Rejected, n, peak[1]>>10, peak[0]>>10)
		}
	}
	if peak[1] > peak[0]*3/2+16<<10 {
		u.Logf("memory grows: %d KiB, then %d KiB", peak[0], peak[1])
		u.Fail()
	}
}

// peakMemory returns the most memory that a process has had so far, in KiB; 0: the machine
// does not tell.
func peakMemory(u *unit, pid int) (kib int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(value, &kib); err != nil {
				u.Fatalf("%q: %v", line, err)
			}
		}
	}
	return kib
}

// mutatedBulk really enqueues mutated rows: all that were accepted must be in the ledger.
func mutatedBulk(u *unit, n int) {
	w := newWorld(u, nil)
	var b strings.Builder
	if err := writeRows(&b, u.rand, n, csvRow, "server,token,licenses,chain,ref,id\n"); err != nil {
		u.Fatal(err)
	}
	file := w.l.File("mutated.csv", b.String())
	r := w.l.Enqueue("bulk", file, "--batch", "mutated", "--json", "--progress", "none", "--rejects", filepath.Join(w.l.Dir, "rejects.csv"))
	var s e2e.Summary
	w.l.JSON(r, &s)
	total := w.l.Status("mutated").Total
	if r.Exit != 3 || s.Rows > n || s.Rows < n-n/100 || s.Enqueued+s.Duplicates+s.Conflicts+s.Rejected+s.Withheld != s.Rows || total != s.Enqueued {
		w.violation("I6", "%d rows, %+v, %d in the ledger", n, s, total)
	}
	u.sum.calls += total
	u.sum.note("a real bulk of %d rows: %d enqueued + %d duplicates + %d rejected, %d in the ledger", n, s.Enqueued, s.Duplicates, s.Rejected, total)
}
