package wolkvoxtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// line is one line of the log. For an end it has Seq, the arrival's number, and the fields that the end sets.
type line struct {
	Event string `json:"event"`
	Record
}

const (
	eventArrive = "arrive"
	eventEnd    = "end"
)

// arrived and ended write the lines of a request.
func (j *journal) arrived(r Record, tokenHash string) {
	r.Token = tokenHash
	j.write(line{eventArrive, r})
}

func (j *journal) ended(r Record) {
	j.write(line{eventEnd, Record{Seq: r.Seq, EndSeq: r.EndSeq, Ended: r.Ended, Status: r.Status, Success: r.Success, Gone: r.Gone, Hidden: r.Hidden}})
}

// journal writes lines and keeps the first error. It has no lock of its own.
type journal struct {
	w   io.Writer
	err error
}

func (j *journal) write(l line) {
	if j.w == nil || j.err != nil {
		return
	}
	b, err := json.Marshal(l)
	if err == nil {
		_, err = j.w.Write(append(b, '\n'))
	}
	if f, ok := j.w.(interface{ Flush() error }); ok && err == nil {
		err = f.Flush()
	}
	j.err = err
}

// ReadAccount reads an account that a simulator wrote to its Options.Log, even while it is being written: it leaves out a
// last line with no line feed, and requests without an end are in flight. For any other line that can't be read, the
// error names the line's number. Tokens are hashed (Account.Hashed).
func ReadAccount(r io.Reader) (Account, error) {
	b := newBook(false)
	b.Hashed = true
	open := map[int64]int{} // arrival's number to the record's index
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return b.Account, nil
		}
		if err != nil {
			return Account{}, fmt.Errorf("account, line %d: %w", n, err)
		}
		var l line
		if err := json.Unmarshal(bytes.TrimSpace(text), &l); err != nil {
			return Account{}, fmt.Errorf("account, line %d: %w", n, err)
		}
		index, known := open[l.Seq]
		switch {
		case l.Event == eventArrive && !known:
			open[l.Seq] = b.arrive(l.Record)
		case l.Event == eventEnd && known:
			delete(open, l.Seq)
			r := b.Records[index]
			r.Ended, r.EndSeq, r.Status, r.Success, r.Gone, r.Hidden = l.Ended, l.EndSeq, l.Status, l.Success, l.Gone, l.Hidden
			b.end(index, r)
		default:
			return Account{}, fmt.Errorf("account, line %d: unexpected event %q of request %d", n, l.Event, l.Seq)
		}
	}
}
