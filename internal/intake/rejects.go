package intake

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Rejects writes the rows that were not taken, in the format and with the columns of the
// file they came from, so that they can be corrected and enqueued again. A further column,
// or member, problem says what is wrong with each; when such a file is read, Row.FromRejects
// tells it.
//
// The file has tokens, so its mode is 0600. It is made at the first reject,
// beside its place and under another name, and put there by Close: until then an
// older file stays, and it may well be the one that is being read. A device or a
// pipe is written to directly. It is for one goroutine, and one input file.
type Rejects struct {
	path string
	dest string // where the file ends up, past symbolic links; "" when written directly
	f    *os.File
	w    *bufio.Writer
	n    int
}

// NewRejects is a rejects file that will be at path. An empty path keeps no
// rows: Add counts them.
func NewRejects(path string) *Rejects { return &Rejects{path: path} }

// Count is how many rows were added.
func (r *Rejects) Count() int { return r.n }

// Path is where the file is after Close, if Count isn't 0.
func (r *Rejects) Path() string { return r.path }

// Add keeps a row that can't be one, as it was. An error is the file system's.
func (r *Rejects) Add(e *RowError) error {
	return r.add(e.Shape, func() []byte { return e.Shape.spoilt(e.Raw, e.Field+": "+e.Problem) })
}

// AddRow keeps a row that is one and was not taken all the same, such as one that stands
// behind a row that was rejected. Row.Shape says how it is written. An error is the file
// system's.
func (r *Rejects) AddRow(row Row, problem string) error {
	return r.add(row.Shape, func() []byte { return row.Shape.row(row, problem) })
}

func (r *Rejects) add(s *Shape, line func() []byte) error {
	r.n++
	if r.path == "" {
		return nil
	}
	if r.f == nil {
		if err := r.open(); err != nil {
			return fmt.Errorf("rejects file: %w", err)
		}
		if s != nil {
			r.line(s.heading())
		}
	}
	if err := r.line(line()); err != nil {
		return fmt.Errorf("rejects file: %w", err)
	}
	return nil
}

func (r *Rejects) line(b []byte) error {
	r.w.Write(b) // bufio keeps the error
	return r.w.WriteByte('\n')
}

func (r *Rejects) open() (err error) {
	dest := r.path
	if real, err := filepath.EvalSymlinks(r.path); err == nil {
		dest = real
	}
	info, err := os.Stat(dest)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory", r.path)
	case err == nil && !info.Mode().IsRegular():
		r.f, err = os.OpenFile(dest, os.O_WRONLY, 0)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		r.dest = dest
		// CreateTemp gives mode 0600.
		r.f, err = os.CreateTemp(filepath.Dir(dest), "."+filepath.Base(dest)+".*")
	}
	if err != nil {
		return err
	}
	r.w = bufio.NewWriter(r.f)
	return nil
}

// Close puts the file in its place. With no reject there is nothing to do, and
// an older file stays. Where it fails, what was written is removed. A second
// Close does nothing.
func (r *Rejects) Close() error {
	if r.f == nil {
		return nil
	}
	f := r.f
	r.f = nil
	err := errors.Join(r.w.Flush(), f.Close())
	if r.dest != "" {
		if err == nil {
			err = os.Rename(f.Name(), r.dest)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("rejects file: %w", err)
	}
	return nil
}
