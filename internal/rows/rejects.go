package rows

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Rejects writes the rows that were not taken, in the format and with the columns of the
// file they came from, so that they can be corrected and enqueued again. An additional column,
// or member, problem says what is wrong with each. When such a file is read, Row.FromRejects
// is set. If a line can't hold a member, a line with only problem comes before it.
//
// The rows may be added in any order: Close writes them in the order of their file, which is
// the order in which they are to be made.
//
// The file has tokens, so its mode is 0600. It is made at the first reject, in
// the same folder and under another name, and Close puts it in its place. Until
// then an older file stays, which may well be the one that is being read. Close
// also writes a device or a pipe. A Rejects is for one goroutine, and one input file.
type Rejects struct {
	path string
	dest string   // where the file ends up, past symbolic links; "" with out
	out  *os.File // a device or a pipe
	f    *os.File
	w    *bufio.Writer
	n    int
	size int64 // of what was written
	rows []keptRow
}

// keptRow is where a row stands in the file that is written.
type keptRow struct {
	line uint32 // of the row in its own file
	size uint32
	at   int64
}

// NewRejects returns a rejects file that will be at path. With an empty path it
// keeps no rows, and only counts them.
func NewRejects(path string) *Rejects { return &Rejects{path: path} }

// Count is how many rows were added.
func (r *Rejects) Count() int { return r.n }

// Path is where the file is after Close, if Count isn't 0.
func (r *Rejects) Path() string { return r.path }

// Add keeps a bad row, as it was, but for the token of a row that may be cut off. An error is the
// file system's.
func (r *Rejects) Add(e *RowError) error {
	return r.add(e.Shape, e.Line, e.spoilt)
}

// AddRow keeps a valid row that was not taken, such as one that stands behind a row that was
// rejected. Row.Shape says how it is written. An error is the file system's.
func (r *Rejects) AddRow(row Row, problem string) error {
	return r.add(row.Shape, row.Line, func() []byte { return row.Shape.row(row, problem) })
}

func (r *Rejects) add(s *Shape, line int, text func() []byte) (err error) {
	r.n++
	if r.path == "" {
		return nil
	}
	if r.f == nil {
		if err = r.open(); err == nil && s != nil {
			err = r.line(0, s.heading())
		}
	}
	if err == nil {
		err = r.line(line, text())
	}
	if err != nil {
		return fmt.Errorf("rejects file: %w", err)
	}
	return nil
}

func (r *Rejects) line(line int, b []byte) error {
	r.rows = append(r.rows, keptRow{line: uint32(line), size: uint32(len(b) + 1), at: r.size})
	r.size += int64(len(b) + 1)
	r.w.Write(b) // bufio keeps the error
	return r.w.WriteByte('\n')
}

func (r *Rejects) open() (err error) {
	dest := r.path
	if real, err := filepath.EvalSymlinks(r.path); err == nil {
		dest = real
	}
	info, err := os.Stat(dest)
	dir := filepath.Dir(dest)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory", r.path)
	case err == nil && !info.Mode().IsRegular():
		dir = ""
		r.out, err = os.OpenFile(dest, os.O_WRONLY, 0)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		r.dest, err = dest, nil
	}
	if err == nil {
		r.f, err = r.temp(dir)
	}
	if err != nil {
		return err
	}
	r.w = bufio.NewWriter(r.f)
	return nil
}

// temp makes a file of mode 0600.
func (r *Rejects) temp(dir string) (*os.File, error) {
	return os.CreateTemp(dir, "."+filepath.Base(r.path)+".*")
}

// Close puts the file in its place, with its rows in the order of their lines. With no reject there is
// nothing to do, and an older file stays. If it fails, what was written is removed. A second Close
// does nothing.
func (r *Rejects) Close() (err error) {
	if r.f == nil {
		return nil
	}
	kept, to := r.f, r.out
	r.f = nil
	defer func() {
		_ = kept.Close()
		_ = os.Remove(kept.Name())
		if err != nil {
			err = fmt.Errorf("rejects file: %w", err)
		}
	}()
	if to == nil {
		if to, err = r.temp(filepath.Dir(r.dest)); err != nil {
			return err
		}
		defer os.Remove(to.Name()) // in vain, once it is renamed
	}
	err = errors.Join(r.w.Flush(), r.inOrder(kept, to), to.Close())
	if err == nil && r.out == nil {
		err = os.Rename(to.Name(), r.dest)
	}
	return err
}

// inOrder copies the rows in the order of their lines.
func (r *Rejects) inOrder(from io.ReaderAt, to io.Writer) error {
	slices.SortStableFunc(r.rows, func(a, b keptRow) int { return cmp.Compare(a.line, b.line) })
	w := bufio.NewWriter(to)
	for _, row := range r.rows {
		if _, err := io.Copy(w, io.NewSectionReader(from, row.at, int64(row.size))); err != nil {
			return err
		}
	}
	return w.Flush()
}
