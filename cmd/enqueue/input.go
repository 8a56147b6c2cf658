package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/say"
)

// inputFlags say how a file of rows is to be read.
type inputFlags struct{ format, encoding string }

func (o *inputFlags) bind(cmd *cobra.Command) {
	choice(cmd, &o.format, "format", "auto, csv or jsonl", "auto", "csv", "jsonl")
	choice(cmd, &o.encoding, "encoding", "utf-8 or windows-1252; a byte order mark, as of Excel's \"Unicode text\", wins over it", "utf-8", "windows-1252")
}

// fileFlags are the flags of every command that makes calls from a file.
type fileFlags struct {
	inputFlags
	onFailure, rejects, progress string
}

func (o *fileFlags) bind(cmd *cobra.Command) {
	o.inputFlags.bind(cmd)
	choice(cmd, &o.onFailure, "on-failure", "hold, skip or cancel: what happens to a chain whose call was given up", ledger.Policies()...)
	cmd.Flags().StringVar(&o.rejects, "rejects", "", "another file, in which to keep the rows that were rejected, conflict or were withheld, unchanged")
	choice(cmd, &o.progress, "progress", "auto (a bar on a terminal), plain or none", "auto", "plain", "none")
}

// howRead are the flags about a file that a command must repeat to go on.
var howRead = []string{"format", "encoding", "on-failure"}

// openRows opens a file for a run over its rows. Close the run's input.
func (a *app) openRows(cmd *cobra.Command, name string, o fileFlags) (*rowsRun, error) {
	policy, err := ledger.ParsePolicy(o.onFailure)
	if err != nil {
		return nil, usagef("--on-failure: %v", err)
	}
	o.onFailure = string(policy)
	if !slices.Contains([]string{"auto", "plain", "none"}, o.progress) {
		return nil, usagef("--progress %q is not one of auto, plain, none", o.progress)
	}
	in, err := a.openInput(cmd.Context(), name, o.inputFlags)
	if err != nil {
		return nil, err
	}
	if in.stays && in.wholeAt(o.rejects) {
		in.close()
		return nil, usagef("--rejects %s is the file itself, which would lose all its other rows: name another file", o.rejects)
	}
	return &rowsRun{app: a, cmd: cmd, o: bulkFlags{fileFlags: o}, in: in, meter: a.newMeter(o.progress, progress.UnitsBytes), rejects: rows.NewRejects(o.rejects)}, nil
}

// input is an open file of rows, or standard input. Close it.
type input struct {
	name   string
	enc    rows.Encoding
	opened *os.File // nil: standard input
	stays  bool     // it is a regular file: it can be read again
	kept   *os.File // what can be read again: that file, or what keep made of another; nil: nothing
	reader io.Reader
	format rows.Format
	size   int64 // 0: not known

	badText bool // a row was rejected for bytes that are no text
}

// openInput opens a file, or standard input for "-". Reading from a pipe or a terminal, which may
// never end, ends with ctx.
func (a *app) openInput(ctx context.Context, name string, o inputFlags) (_ *input, err error) {
	in := &input{name: name}
	if in.enc, err = rows.ParseEncoding(o.encoding); err != nil {
		return nil, usagef("--encoding %q %v", o.encoding, err)
	}
	in.format = rows.Format(o.format)
	if !slices.Contains([]rows.Format{rows.Auto, rows.CSV, rows.JSONLines}, in.format) {
		return nil, usagef("--format %q is not one of auto, csv, jsonl", o.format)
	}
	if name == "-" {
		in.reader = interruptible(ctx, a.in)
		return in, nil
	}
	if in.opened, err = os.Open(name); err != nil {
		return nil, err
	}
	info, err := in.opened.Stat()
	if err == nil && info.IsDir() {
		err = usagef("%s is a directory: give a file in CSV or JSON Lines", name)
	}
	if err != nil {
		in.close()
		return nil, err
	}
	if in.stays = info.Mode().IsRegular(); in.stays {
		in.size, in.reader, in.kept = info.Size(), in.opened, in.opened
	} else {
		in.reader = interruptible(ctx, in.opened)
	}
	return in, nil
}

func (in *input) close() {
	_ = in.opened.Close() // nil has nothing to close, and below no place
	if in.kept != nil && in.kept != in.opened {
		rows.Drop(in.kept)
	}
}

// argument is the file's name in the command that goes on. A name such as /dev/fd/63 means something
// to this process alone, so it becomes FILE.
func (in *input) argument() string {
	if in.stays || in.name == "-" {
		return say.File(in.name)
	}
	return "FILE"
}

// onceMore says what the command that goes on can't say: rows that came through a pipe
// have to be given again. It is a line below that command, or "".
func (in *input) onceMore() string {
	switch {
	case in.stays:
		return ""
	case in.name == "-":
		return "        give it the same rows on standard input\n"
	}
	return fmt.Sprintf("        FILE has the same rows: %s is a pipe that can't be read again\n", in.name)
}

// batchName returns the name of a batch if none was given, and the path of the file it is named after ("": none).
func (in *input) batchName() (name, path string, err error) {
	if !in.stays {
		return "stdin-" + time.Now().UTC().Format("20060102-150405.000"), "", nil
	}
	if path, err = filepath.Abs(in.name); err != nil {
		return "", "", fmt.Errorf("%s: %w", in.name, err)
	}
	return rows.BatchName(in.name), path, nil
}

// keep makes it possible to read the input twice.
func (in *input) keep() (err error) {
	if in.stays {
		return nil
	}
	if in.kept, in.size, err = rows.Keep(in.reader); err != nil {
		return fmt.Errorf("%s can't be kept to be read twice: %w", in.name, err)
	}
	in.reader = in.kept
	return nil
}

// wholeAt reports whether path is that of the input, and the input is no rejects file: that may be written anew.
func (in *input) wholeAt(path string) bool {
	there, err := os.Stat(path)
	own, failed := in.opened.Stat()
	return err == nil && failed == nil && os.SameFile(there, own) && (!rows.FromRejects(in.rows()) || in.again() != nil)
}

// again goes back to the start of an input that can be read twice.
func (in *input) again() error {
	_, err := in.kept.Seek(0, io.SeekStart)
	return err
}

// rows reads the input, once.
func (in *input) rows() iter.Seq2[rows.Row, error] {
	return rows.Read(in.reader, in.name, in.format, in.enc)
}

// read returns how many bytes were read; 0 for a pipe that is not kept.
func (in *input) read() (n int64) {
	n, _ = in.kept.Seek(0, io.SeekCurrent)
	return n
}

// badTextAdvice is what to do about bytes that are no text.
var badTextAdvice = rows.Advice("give --encoding windows-1252")

// tellBadText says what to do if rows were rejected for bytes that are no text.
func (in *input) tellBadText(w io.Writer) {
	if in.badText {
		fmt.Fprintf(w, "some bytes of %s stand for no character: %s\n", in.name, badTextAdvice)
	}
}

// interruptible reads r until ctx ends. Its goroutine may last as long as the process: a
// read of standard input can't be interrupted.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.Copy(pw, r)
		_ = pw.CloseWithError(err) // nil is the end of the file
	}()
	context.AfterFunc(ctx, func() { _ = pw.CloseWithError(ctx.Err()) })
	return pr
}
