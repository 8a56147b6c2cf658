package wal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
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

// Disk is what a File writes to.
type Disk interface {
	io.WriterAt
	// Allocate makes sure that there is room to write the bytes from one offset to another.
	// If it fails, the bytes before from stay as they are.
	Allocate(from, to int64) error
	Truncate(size int64) error
	Sync() error
	Close() error
}

// File is an open journal. It is safe for concurrent use. Close it.
type File struct {
	path string
	disk Disk
	lock *flock.Flock

	mu      sync.Mutex
	turn    *sync.Cond
	written int64 // bytes
	synced  int64 // of these, on the disk for certain
	have    int64 // bytes for which the disk has room for certain, from the file's begin
	owed    int64 // of the room behind written: reserved for records to come
	syncing bool
	failed  error // of a sync: nothing is certain after it
}

// Read returns the records of the journal at path as they are now, and changes nothing: another
// process may go on writing. If there is no journal, there are no records. If it is damaged, the
// error is a *DamageError.
func Read(path string) ([][]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	records, _, err := read(path, raw)
	return records, err
}

// Open opens the journal at path, or makes an empty one, and returns its records. If others
// have it the error is ErrLocked, and if it is damaged a *DamageError. before, if not nil, puts
// a disk before the file, for tests: one that loses power, or is full.
func Open(path string, before func(Disk) Disk) (_ *File, records [][]byte, err error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, ErrLocked
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	defer func() {
		if err != nil {
			_ = f.Close() // does nothing if f is nil
			_ = lock.Close()
		}
	}()
	if err != nil {
		return nil, nil, err
	}
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
	// What was read may have been written by a process that was killed before its sync.
	// And a new file must be found in its directory later.
	if err := errors.Join(f.Sync(), syncDir(filepath.Dir(path))); err != nil {
		return nil, nil, err
	}
	var disk Disk = allocated{f}
	if before != nil {
		disk = before(disk)
	}
	return newFile(path, lock, disk, int64(good)), records, nil
}

func newFile(path string, lock *flock.Flock, d Disk, size int64) *File {
	j := &File{path: path, lock: lock, disk: d, written: size, synced: size, have: size}
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

// sum is the length of the checksum.
const sum = 8

// read returns the records of a file, and how many bytes of it are good. What follows
// the first line that is not a record was never said to be on the disk, unless a later
// record says that it was.
func read(path string, raw []byte) (records [][]byte, good int, err error) {
	line, bad := 0, 0
	for at := 0; at < len(raw); {
		line++
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			break
		}
		text, synced, ok := decode(raw[at : at+end])
		switch {
		case !ok && bad == 0:
			bad = line
		case ok && bad == 0:
			records = append(records, text)
			good = at + end + 1
		case ok && synced > int64(good):
			return nil, 0, &DamageError{path, bad}
		}
		at += end + 1
	}
	return records, good, nil
}

// decode returns a record's text, and how many bytes of the file were on the disk when it
// was written.
func decode(line []byte) (text []byte, synced int64, ok bool) {
	if len(line) <= sum || string(line[:sum]) != checksum(line[sum:]) {
		return decodeFirst(line)
	}
	mark, text, ok := bytes.Cut(line[sum:], []byte(" "))
	if !ok || len(mark) < 2 || mark[0] != '+' {
		return nil, 0, false
	}
	synced, err := strconv.ParseInt(string(mark[1:]), 16, 64)
	return text, synced, err == nil
}

// decodeFirst reads the form that the first version wrote: a checksum, a space and the
// text. Nobody knows what was on the disk then, so everything before it counts as synced.
func decodeFirst(line []byte) (text []byte, synced int64, ok bool) {
	if len(line) <= sum || line[sum] != ' ' {
		return nil, 0, false
	}
	text = line[sum+1:]
	return text, math.MaxInt64, string(line[:sum]) == checksum(text)
}

func checksum(text []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) }

// encode makes a line of a record.
func encode(text []byte, synced int64) []byte {
	line := make([]byte, sum, sum+18+len(text)+1)
	line = append(strconv.AppendInt(append(line, '+'), synced, 16), ' ')
	line = append(line, text...)
	copy(line, checksum(line[sum:]))
	return append(line, '\n')
}

// most is how long the line of a record with a text of this length can be.
func most(text int) int64 { return int64(sum + 18 + text + 1) }

// Append writes a record, which must have no line break, and returns the mark for Sync. It
// does not wait for the disk. If there is no room for the record, nothing is written.
func (j *File) Append(text []byte) (mark int64, err error) { return j.AppendReserving(text, 0) }

// AppendReserving is Append, and reserves room for a record of up to room bytes of text,
// for AppendReserved. If there is no room for both, nothing is written. If room is 0, it
// reserves nothing.
func (j *File) AppendReserving(text []byte, room int) (mark int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return 0, j.failed
	}
	owed := int64(0)
	if room > 0 {
		owed = most(room)
	}
	mark, err = j.append(text, owed)
	if err == nil {
		j.owed += owed
	}
	return mark, err
}

// AppendReserved is Append into the room that one AppendReserving reserved, and uses it up.
// It writes even after a sync that failed: the record may well be found again, though nobody
// may count on it.
func (j *File) AppendReserved(text []byte, room int) (mark int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.owed -= most(room)
	return j.append(text, 0)
}

// append writes a record if there is room for it, for what is owed, and for more bytes on top.
func (j *File) append(text []byte, more int64) (mark int64, err error) {
	line := encode(text, j.synced)
	if need := j.written + int64(len(line)) + j.owed + more; need > j.have {
		if err := j.allocate(need); err != nil {
			return 0, j.wrap("no room for a record", err)
		}
	}
	// At its place, not at the file's end, to write over what a failed write left.
	if _, err := j.disk.WriteAt(line, j.written); err != nil {
		return 0, j.wrap("write", err)
	}
	j.written += int64(len(line))
	return j.written, nil
}

// allocate gets room up to an offset, and some more if the disk has it.
func (j *File) allocate(need int64) error {
	const step = 64 << 10
	ample := (need + 2*step - 1) / step * step
	if j.disk.Allocate(j.have, ample) == nil {
		j.have = ample
		return nil
	}
	if err := j.disk.Allocate(j.have, need); err != nil {
		return err
	}
	j.have = need
	return nil
}

func (j *File) wrap(what string, err error) error {
	return fmt.Errorf("journal %s: %s: %w", j.path, what, err)
}

// Sync returns when everything up to mark is on the disk. One sync serves everyone who waits.
func (j *File) Sync(mark int64) error { return j.wait(mark, true) }

// Await is Sync, but it waits for others to begin one.
func (j *File) Await(mark int64) error { return j.wait(mark, false) }

func (j *File) wait(mark int64, begin bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.synced < mark && j.failed == nil {
		if j.syncing || !begin {
			j.turn.Wait()
			continue
		}
		j.syncing = true
		upTo := j.written
		j.mu.Unlock()
		err := j.disk.Sync()
		j.mu.Lock()
		j.syncing = false
		if err != nil {
			j.failed = j.wrap("sync", err)
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

// SyncAll is Sync for everything that was appended so far. It costs nothing if that is on
// the disk already.
func (j *File) SyncAll() error {
	j.mu.Lock()
	mark := j.written
	j.mu.Unlock()
	return j.Sync(mark)
}

// Close syncs, gives back room that was not used, and lets others have the journal.
func (j *File) Close() error {
	j.mu.Lock()
	size := j.written
	j.mu.Unlock()
	return errors.Join(j.disk.Truncate(size), j.SyncAll(), j.disk.Close(), j.lock.Close())
}

// allocated is a file that gets its room on the disk before it is used.
type allocated struct{ *os.File }

func (f allocated) Allocate(from, to int64) error {
	err := preallocate(f.File, from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		return pad(f, from, to)
	}
	return err
}

// pad gets room by writing zeros, which records then overwrite, and syncs them: some file
// systems (NFS) say only then that they are full. A file system that never writes in place
// may still refuse later.
func pad(d Disk, from, to int64) error {
	zeros := make([]byte, 64<<10)
	for from < to {
		n, err := d.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return d.Sync()
}
