package e2e

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"habilita/internal/control"
	"habilita/internal/ledger"
)

// Results reads FILE.results.csv of `enqueue run`; nil: there is none.
func (l *Lab) Results(file string) []control.CallRecord {
	l.TB.Helper()
	f, err := os.Open(file + ".results.csv")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		l.TB.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1 // on a full disk the last row is cut off
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 || !slices.Equal(rows[0], control.Columns()) {
		l.TB.Fatalf("results: %v", err)
	}
	var out []control.CallRecord
	for _, r := range rows[1:] {
		if len(r) != len(rows[0]) {
			continue
		}
		attempts, err := strconv.Atoi(r[6])
		if err != nil {
			l.TB.Fatal(err)
		}
		out = append(out, control.CallRecord{
			ID: r[0], Server: r[1], TokenID: r[2], Ref: r[3], Chain: r[4], State: ledger.State(r[5]), Attempts: attempts, Code: r[7], Msg: r[8], Error: r[9],
		})
	}
	return out
}

// JudgeLocal is Judge for a file that `enqueue run` worked off, from its results.
func (l *Lab) JudgeLocal(t Terms, p Plan, file string) Verdict {
	l.TB.Helper()
	return Judge(l.Vendor.Account(), t, []Plan{p}, [][]control.CallRecord{l.Results(file)})
}

// Disk is a small file system.
type Disk struct {
	l   *Lab
	Dir string
}

// SmallDisk makes a Disk of so many KiB. It returns nil if this process may not mount.
func (l *Lab) SmallDisk(kib int) *Disk {
	l.TB.Helper()
	d := &Disk{l, filepath.Join(l.Dir, l.name("disk"))}
	if err := os.Mkdir(d.Dir, 0o700); err != nil {
		l.TB.Fatal(err)
	}
	if err := d.mount(kib, "-t", "tmpfs", "none"); err != nil {
		l.TB.Logf("no small file system: %v", err)
		return nil
	}
	l.TB.Cleanup(func() {
		if out, err := exec.Command("umount", d.Dir).CombinedOutput(); err != nil {
			l.TB.Errorf("umount: %v\n%s", err, out)
		}
	})
	return d
}

// Resize makes the disk larger or smaller.
func (d *Disk) Resize(kib int) {
	d.l.TB.Helper()
	if err := d.mount(kib); err != nil {
		d.l.TB.Fatal(err)
	}
}

func (d *Disk) mount(kib int, args ...string) error {
	options := fmt.Sprintf("size=%dk", kib)
	if len(args) == 0 {
		options = "remount," + options
	}
	out, err := exec.Command("mount", append(args, "-o", options, d.Dir)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w\n%s", err, out)
	}
	return nil
}
