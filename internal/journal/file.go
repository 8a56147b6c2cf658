package journal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// ErrLocked says that another process has the journal.
var ErrLocked = errors.New("another process has the journal")

// DamageError says that a journal is damaged before its last record.
type DamageError struct {
	Path string
	Line int // the first that can't be read
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s:%d: the journal is damaged before its end", e.Path, e.Line)
}

// disk is what a File writes to; tests have one that loses power.
type disk interface {
	io.Writer
	Sync() error
	Close() error
}

// File is an open journal. It is safe for concurrent use. Close it.
type File struct {
	path string
	disk disk
	lock *flock.Flock // nil in tests

	mu      sync.Mutex
	turn    *sync.Cond
	written int64 // bytes
	synced  int64 // of these, on the disk for certain
	syncing bool
	syncs   int
	failed  error // of a write or sync: nothing is written after it
	seen    func(upTo int64)
}

// Observe has f called after every sync, before those that wait for it go on, with how
// many bytes of the file a loss of power leaves: for tests.
func (j *File) Observe(f func(upTo int64)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen = f
}

// Open opens the journal at path, or makes an empty one, and returns its records. Where
// others have it the error is ErrLocked, and where it is damaged a *DamageError.
func Open(path string) (_ *File, records [][]byte, err error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, ErrLocked
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, err
	}
	records, good, err := read(path, raw)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Truncate(int64(good)); err != nil {
		return nil, nil, err
	}
	if _, err := f.Seek(int64(good), io.SeekStart); err != nil {
		return nil, nil, err
	}
	// What was read may have been written by a process that was killed before its sync;
	// and a new file is to be found in its directory.
	if err := errors.Join(f.Sync(), syncDir(filepath.Dir(path))); err != nil {
		return nil, nil, err
	}
	j := newFile(path, f, int64(good))
	j.lock = lock
	return j, records, nil
}

func newFile(path string, d disk, size int64) *File {
	j := &File{path: path, disk: d, written: size, synced: size}
	j.turn = sync.NewCond(&j.mu)
	return j
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some file systems can't sync a directory; the file itself is synced all the same.
	_ = d.Sync()
	return d.Close()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const header = 9 // checksum and space

// read returns the records of a file, and how many bytes of it are good.
func read(path string, raw []byte) (records [][]byte, good int, err error) {
	line, bad := 0, 0
	for at := 0; at < len(raw); {
		line++
		end := bytes.IndexByte(raw[at:], '\n')
		text, ok := []byte(nil), false
		if end >= 0 {
			text, ok = decode(raw[at : at+end])
		}
		switch {
		case !ok && bad == 0:
			bad = line
		case ok && bad > 0:
			return nil, 0, &DamageError{path, bad}
		case ok:
			records = append(records, text)
			good = at + end + 1
		}
		if end < 0 {
			break
		}
		at += end + 1
	}
	return records, good, nil
}

func decode(line []byte) ([]byte, bool) {
	if len(line) < header || line[header-1] != ' ' {
		return nil, false
	}
	text := line[header:]
	return text, string(line[:header]) == frame(text)
}

func frame(text []byte) string { return fmt.Sprintf("%08x ", crc32.Checksum(text, castagnoli)) }

// Append writes a record, which must have no line break, and returns what Sync takes. It
// does not wait for the disk.
func (j *File) Append(text []byte) (mark int64, err error) {
	line := make([]byte, 0, header+len(text)+1)
	line = append(append(append(line, frame(text)...), text...), '\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return 0, j.failed
	}
	n, err := j.disk.Write(line)
	j.written += int64(n)
	if err != nil {
		return 0, j.fail("write", err)
	}
	return j.written, nil
}

// Sync returns when everything up to mark is on the disk. One sync serves all that wait.
func (j *File) Sync(mark int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.synced < mark && j.failed == nil {
		if j.syncing {
			j.turn.Wait()
			continue
		}
		j.syncing = true
		upTo, seen := j.written, j.seen
		j.syncs++
		j.mu.Unlock()
		err := j.disk.Sync()
		if seen != nil {
			seen(upTo)
		}
		j.mu.Lock()
		j.syncing = false
		if err != nil {
			_ = j.fail("sync", err)
		} else {
			j.synced = upTo
		}
		j.turn.Broadcast()
	}
	if j.synced >= mark {
		return nil
	}
	return j.failed
}

// SyncAll is Sync for all that was appended so far. Where that is on the disk already it
// costs nothing.
func (j *File) SyncAll() error {
	j.mu.Lock()
	mark := j.written
	j.mu.Unlock()
	return j.Sync(mark)
}

// fail keeps the first failure, by which nothing is written any more.
func (j *File) fail(what string, err error) error {
	if j.failed == nil {
		j.failed = fmt.Errorf("journal %s: %s: %w", j.path, what, err)
	}
	return j.failed
}

// Err is the failure after which nothing is written any more; nil: none.
func (j *File) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// Close syncs, and lets others have the journal.
func (j *File) Close() error {
	err := errors.Join(j.SyncAll(), j.disk.Close())
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	return err
}
