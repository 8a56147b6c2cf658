package wal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"
	"pgregory.net/rapid"
)

func open(t *testing.T, path string) (*File, []string) {
	t.Helper()
	j, records, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // closed twice where the test did
	var out []string
	for _, r := range records {
		out = append(out, string(r))
	}
	return j, out
}

func add(t *testing.T, j *File, texts ...string) {
	t.Helper()
	for _, s := range texts {
		mark, err := j.Append([]byte(s))
		if err := errors.Join(err, j.Sync(mark)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, have := open(t, path)
	if len(have) > 0 {
		t.Fatal(have)
	}
	add(t, j, `{"a":1}`, "", "ñ")
	if _, _, err := Open(path, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one got it: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, have = open(t, path)
	if fmt.Sprint(have) != `[{"a":1}  ñ]` {
		t.Errorf("%q", have)
	}
	add(t, j, "more")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// Wherever the file is cut off, its complete records come back, and so do those added afterwards.
func TestTornTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, path)
	add(t, j, "one", "two", "three")
	_ = j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, have := open(t, path)
		if want := strings.Count(string(whole[:cut]), "\n"); len(have) != want {
			t.Errorf("cut at %d: %q", cut, have)
		}
		add(t, j, "four")
		_ = j.Close()
		if _, again := open(t, path); len(again) != len(have)+1 || again[len(have)] != "four" {
			t.Errorf("cut at %d: then %q", cut, again)
		}
		release(t, path)
	}
}

// release lets the test open a journal again that it opened last.
func release(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// Damage other than a torn tail is an error, and nothing is thrown away.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := open(t, path)
	add(t, j, "one", "two", "three")
	_ = j.Close()
	whole, _ := os.ReadFile(path)
	broken := bytes.Replace(whole, []byte("two"), []byte("twa"), 1)
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *DamageError
	if _, _, err := Open(path, nil); !errors.As(err, &damage) || damage.Line != 2 {
		t.Errorf("%v", err)
	}
	if now, _ := os.ReadFile(path); !bytes.Equal(now, broken) {
		t.Error("the file was changed")
	}
}

// slow is a disk whose sync waits until it may end, and that loses what was not synced.
type slow struct {
	mu     sync.Mutex
	data   []byte
	safe   int // bytes that a loss of power leaves
	begun  chan struct{}
	may    chan struct{}
	failed error
	syncs  int
}

func (d *slow) WriteAt(p []byte, at int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		return 0, d.failed
	}
	d.data = append(d.data, make([]byte, max(0, int(at)+len(p)-len(d.data)))...)
	return copy(d.data[at:], p), nil
}

func (d *slow) Allocate(int64, int64) error { return nil }

func (d *slow) Truncate(size int64) error {
	d.data = d.data[:size]
	return nil
}

func (d *slow) Sync() error {
	d.mu.Lock()
	n := len(d.data)
	d.syncs++
	d.mu.Unlock()
	if d.begun != nil {
		d.begun <- struct{}{}
		<-d.may
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.safe = n
	return d.failed
}

func (d *slow) Close() error { return nil }

// One sync serves all that wait, and none returns before its record is safe.
func TestOneSyncServesAll(t *testing.T) {
	d := &slow{begun: make(chan struct{}), may: make(chan struct{})}
	j := newFile("j", flock.New("j"), d, 0)
	var wg sync.WaitGroup
	sync1 := func(text string) {
		mark, err := j.Append([]byte(text))
		if err := errors.Join(err, j.Sync(mark)); err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if !bytes.Contains(d.data[:d.safe], []byte(" "+text+"\n")) {
			t.Errorf("%s is not on the disk", text)
		}
	}
	wg.Go(func() { sync1("first") })
	<-d.begun
	const others = 63
	for i := range others {
		wg.Go(func() { sync1(fmt.Sprint("record-", i)) })
	}
	for { // all have written, while the first sync runs
		d.mu.Lock()
		n := bytes.Count(d.data, []byte("\n"))
		d.mu.Unlock()
		if n == 1+others {
			break
		}
	}
	d.may <- struct{}{}
	<-d.begun
	d.may <- struct{}{}
	wg.Wait()
	if d.syncs != 2 {
		t.Errorf("%d syncs for %d records", d.syncs, 1+others)
	}
}

// If a sync fails, the file reports nothing more as on the disk, even if the disk recovers.
// Only records with reserved room are still written.
func TestFailedSyncIsFinal(t *testing.T) {
	d := &slow{}
	j := newFile("j", flock.New("j"), d, 0)
	mark, err := j.AppendReserving([]byte("a"), 100)
	d.failed = errors.New("input/output error")
	if err := errors.Join(err, j.Sync(mark)); err == nil || !strings.Contains(err.Error(), "sync: input/output error") {
		t.Errorf("%v", err)
	}
	d.failed = nil
	n := len(d.data)
	if _, err := j.Append([]byte("b")); err == nil || len(d.data) != n {
		t.Errorf("it went on: %v", err)
	}
	mark, err = j.AppendReserved([]byte("outcome"), 100)
	if err != nil || !bytes.HasSuffix(d.data, []byte(" outcome\n")) {
		t.Errorf("%v: %q", err, d.data)
	}
	if j.Sync(mark) == nil || j.Await(mark) == nil {
		t.Error("it is told to be on the disk")
	}
}

// A failed write leaves its place to the next record.
func TestFailedWriteLeavesItsPlace(t *testing.T) {
	d := &slow{}
	j := newFile("j", flock.New("j"), d, 0)
	add(t, j, "a")
	d.failed = errors.New("input/output error")
	if _, err := j.Append([]byte("lost")); err == nil {
		t.Error("it was written")
	}
	d.failed = nil
	d.data = append(d.data, "01234567+0 lo"...) // what came of it
	add(t, j, "b")
	records, good, err := read("j", d.data)
	if err != nil || len(records) != 2 || string(records[1]) != "b" || good != len(d.data) {
		t.Errorf("%q %d %v", records, good, err)
	}
}

// Whatever a file holds, reading it ends, and what it takes for good is records.
func TestReadAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOf(rapid.Byte()).Draw(t, "raw")
		records, good, err := read("j", raw)
		if err == nil && (good > len(raw) || bytes.Count(raw[:good], []byte("\n")) != len(records)) {
			t.Fatalf("%d records in %d bytes", len(records), good)
		}
	})
}
