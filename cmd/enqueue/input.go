package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"habilita/internal/rows"

	"habilita/internal/say"
)

// inputFlags say how a file of rows is to be read.
type inputFlags struct{ format, encoding string }

func (o *inputFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "auto", "auto, csv or jsonl")
	f.StringVar(&o.encoding, "encoding", "utf-8", "utf-8 or windows-1252; a byte order mark, as of Excel's \"Unicode text\", wins over it")
	complete(cmd, "format", "auto", "csv", "jsonl")
	complete(cmd, "encoding", "utf-8", "windows-1252")
}

// again are the flags to read the same file in the same way: "", or " --encoding ...".
func (o *inputFlags) again() string {
	enc, _ := rows.ParseEncoding(o.encoding) // was parsed before
	return given("format", unless("auto", o.format)) + given("encoding", unless(rows.UTF8.String(), enc.String()))
}

// input is the file that bulk reads.
type input struct {
	name   string
	enc    rows.Encoding
	file   *os.File // nil for what can't be read twice
	spool  *os.File // what keep made of it
	reader io.Reader
	format rows.Format
	size   int64 // 0: not known
	done   atomic.Int64
	line   int // of the row that was read last
	close  func()
}

// openInput opens a file, or standard input for "-". Reading what has no end of its own
// (a pipe, a terminal) ends with ctx.
func (a *app) openInput(ctx context.Context, name string, o inputFlags) (*input, error) {
	in := &input{name: name, close: func() {}}
	enc, err := rows.ParseEncoding(o.encoding)
	if err != nil {
		return nil, usagef("--encoding %q %v", o.encoding, err)
	}
	in.enc = enc
	switch o.format {
	case "auto":
	case "csv":
		in.format = rows.CSV
	case "jsonl":
		in.format = rows.JSONLines
	default:
		return nil, usagef("--format %q is not one of auto, csv, jsonl", o.format)
	}
	if name == "-" {
		in.reader = interruptible(ctx, a.in)
		return in, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	in.close = func() { _ = f.Close() }
	info, err := f.Stat()
	switch {
	case err != nil:
		in.close()
		return nil, err
	case info.IsDir():
		in.close()
		return nil, usagef("%s is a directory: give a file in CSV or JSON Lines", name)
	case info.Mode().IsRegular():
		in.file, in.size, in.reader = f, info.Size(), f
	default:
		in.reader = interruptible(ctx, f)
	}
	return in, nil
}

// argument is the file's name in the command that goes on. A name such as /dev/fd/63 is of this
// process alone, so FILE stands for it.
func (in *input) argument() string {
	if in.file != nil || in.name == "-" {
		return say.File(in.name)
	}
	return "FILE"
}

// onceMore says what the command that goes on can't say: rows that came through a pipe
// have to be given again. It is a line below that command, or "".
func (in *input) onceMore() string {
	switch {
	case in.file != nil:
		return ""
	case in.name == "-":
		return "        give it the same rows on standard input\n"
	}
	return fmt.Sprintf("        FILE has the same rows: %s is a pipe that can't be read again\n", in.name)
}

// batchName is the name of the batch where none was given, and the file whose name it is ("" none).
func (in *input) batchName() (name, path string, err error) {
	if in.file == nil {
		return "stdin-" + time.Now().UTC().Format("20060102-150405.000"), "", nil
	}
	if path, err = filepath.Abs(in.name); err != nil {
		return "", "", fmt.Errorf("%s: %w", in.name, err)
	}
	return rows.BatchName(in.name), path, nil
}

// keep makes the input one that can be read twice: what can't be is copied into a file
// of mode 0600 that has no name any more, so that none is left behind.
func (in *input) keep() error {
	if in.file != nil {
		return nil
	}
	f, err := os.CreateTemp("", "enqueue-*")
	if err != nil {
		return fmt.Errorf("%s can't be kept to be read twice: %w", in.name, err)
	}
	gone := os.Remove(f.Name()) // some systems refuse while it is open
	before := in.close
	in.close = func() {
		before()
		_ = f.Close()
		if gone != nil {
			_ = os.Remove(f.Name())
		}
	}
	if in.size, err = io.Copy(f, in.reader); err != nil {
		return fmt.Errorf("%s can't be kept to be read twice: %w", in.name, err)
	}
	in.spool, in.reader = f, f
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// again goes back to the begin of an input that can be read twice.
func (in *input) again() error {
	f := in.file
	if f == nil {
		f = in.spool
	}
	if f == nil {
		return fmt.Errorf("%s can't be read twice", in.name)
	}
	in.done.Store(0)
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// rows reads the input, once.
func (in *input) rows() iter.Seq2[rows.Row, error] {
	return rows.Read(countingReader{in.reader, &in.done}, in.name, in.format, in.enc)
}

// read is how many bytes were read.
func (in *input) read() int64 { return in.done.Load() }

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// interruptible reads r until ctx ends. The reading behind it ends with the process: a
// read of standard input can't be called back.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.Copy(pw, r)
		_ = pw.CloseWithError(err) // nil is the end of the file
	}()
	context.AfterFunc(ctx, func() { _ = pw.CloseWithError(ctx.Err()) })
	return pr
}
