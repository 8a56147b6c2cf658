package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gofrs/flock"
)

// full is a disk of limited size. If it can't preallocate, room is allocated by padding.
type full struct {
	Disk
	size int64
	pads bool
}

func (d full) Allocate(from, to int64) error {
	if d.pads {
		return pad(d, from, to)
	}
	if to > d.size {
		return syscall.ENOSPC
	}
	return d.Disk.Allocate(from, to)
}

// WriteAt writes what fits, as file systems do.
func (d full) WriteAt(p []byte, at int64) (int, error) {
	fit := max(0, min(int64(len(p)), d.size-at))
	n, err := d.Disk.WriteAt(p[:fit], at)
	if err == nil && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, err
}

// At whatever byte the disk is full, an outcome whose grant was written is written too, and
// all that was written comes back.
func TestReservedRoomIsThere(t *testing.T) {
	const room = 60
	grant, outcome := []byte("grant"), []byte(strings.Repeat("o", room))
	for _, pads := range []bool{false, true} {
		for size := range int64(700) {
			d := &slow{}
			j := newFile("j", flock.New("j"), full{d, size, pads}, 0)
			grants := 0
			for range 3 { // three in flight at a time, until no more fits
				open := 0
				for range 3 {
					if _, err := j.AppendReserving(grant, room); err == nil {
						open++
					} else if !errors.Is(err, syscall.ENOSPC) {
						t.Fatal(err)
					}
				}
				for range open {
					if _, err := j.AppendReserved(outcome, room); err != nil {
						t.Errorf("size %d, padding %v: the outcome of a grant: %v", size, pads, err)
					}
				}
				grants += open
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			have, good, err := read("j", d.data)
			if n := strings.Count(fmt.Sprintf("%q", have), string(outcome)); err != nil || len(have) != 2*grants || n != grants || good != len(d.data) {
				t.Errorf("size %d, padding %v: %d grants, %d records, %d bytes of %d: %v", size, pads, grants, len(have), good, len(d.data), err)
			}
		}
	}
}

// A crash leaves the room behind the records, as zeros where it was padded.
func TestRoomIsNoRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _, err := Open(path, func(d Disk) Disk { return full{d, 1 << 20, true} })
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, "one", "two")
	if err := j.lock.Close(); err != nil { // the process died
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() <= j.written {
		t.Fatalf("%d bytes: %v", info.Size(), err)
	}
	k, have := open(t, path)
	if fmt.Sprint(have) != "[one two]" {
		t.Errorf("%q", have)
	}
	add(t, k, "three")
}

// A loss of power may leave a later record and not an earlier one. If nobody was told that
// the earlier one is on the disk, that is not damage, and both are dropped.
func TestHoleThatWasNeverSynced(t *testing.T) {
	for _, synced := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "j")
		j, _ := open(t, path)
		add(t, j, "one")
		mark, err := j.Append([]byte("two"))
		if err == nil && synced {
			err = j.Sync(mark)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append([]byte("three")); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Index(string(raw), "two")
		copy(raw[at-9:], make([]byte, 12))
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		k, records, err := Open(path, nil)
		var damage *DamageError
		switch {
		case synced && (!errors.As(err, &damage) || damage.Line != 2):
			t.Errorf("it was on the disk, and is not: %v", err)
		case !synced && (err != nil || len(records) != 1):
			t.Errorf("%q %v", records, err)
		}
		if k != nil {
			_ = k.Close()
		}
	}
}

// A journal of the first version is read, and newer records are appended to it.
func TestFirstForm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	old := func(text string) string { return checksum([]byte(text)) + " " + text + "\n" }
	if err := os.WriteFile(path, []byte(old(`{"a":1}`)+old(`{"b":2}`)+"0badc0de {"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, have := open(t, path)
	add(t, j, "new")
	_ = j.Close()
	_, again := open(t, path)
	if len(have) != 2 || fmt.Sprint(again) != `[{"a":1} {"b":2} new]` {
		t.Errorf("%q, then %q", have, again)
	}
	if err := os.WriteFile(path+"2", []byte(old("one")+"damage\n"+old("two")), 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *DamageError
	if _, _, err := Open(path+"2", nil); !errors.As(err, &damage) || damage.Line != 2 {
		t.Errorf("%v", err)
	}
}
