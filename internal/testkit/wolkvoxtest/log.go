package wolkvoxtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The log's lines. An "arrive" line has the first part, an "end" line the second; both have Seq, the arrival's number.
type line struct {
	Event string    `json:"event"`
	Seq   int64     `json:"seq"`
	At    time.Time `json:"at"`

	Server     string   `json:"server,omitempty"`
	Token      string   `json:"token,omitempty"` // TokenHash
	API        string   `json:"api,omitempty"`
	RequestID  string   `json:"request_id,omitempty"`
	Call       string   `json:"call,omitempty"`
	Attempt    int      `json:"attempt,omitempty"`
	InFlight   int      `json:"in_flight,omitempty"`
	Day        string   `json:"day,omitempty"`
	DayCount   int      `json:"day_count,omitempty"`
	Quota      int      `json:"quota,omitempty"`
	Fault      Kind     `json:"fault,omitempty"`
	Violations []string `json:"violations,omitempty"`

	EndSeq  int64 `json:"end_seq,omitempty"`
	Status  int   `json:"status,omitempty"`
	Success bool  `json:"success,omitempty"`
	Gone    bool  `json:"gone,omitempty"`
	Hidden  bool  `json:"hidden,omitempty"`
}

const (
	eventArrive = "arrive"
	eventEnd    = "end"
)

func arriveLine(r Record, tokenHash string) line {
	return line{
		Event: eventArrive, Seq: r.Seq, At: r.Arrived,
		Server: r.Server, Token: tokenHash, API: r.API, RequestID: r.RequestID, Call: r.Call, Attempt: r.Attempt,
		InFlight: r.InFlight, Day: r.Day, DayCount: r.DayCount, Quota: r.Quota, Fault: r.Fault, Violations: r.Violations,
	}
}

func endLine(r Record) line {
	return line{
		Event: eventEnd, Seq: r.Seq, At: r.Ended,
		EndSeq: r.EndSeq, Status: r.Status, Success: r.Success, Gone: r.Gone, Hidden: r.Hidden,
	}
}

func (l line) record() Record {
	return Record{
		Seq: l.Seq, Arrived: l.At,
		Server: l.Server, Token: l.Token, API: l.API, RequestID: l.RequestID, Call: l.Call, Attempt: l.Attempt,
		InFlight: l.InFlight, Day: l.Day, DayCount: l.DayCount, Quota: l.Quota, Fault: l.Fault, Violations: l.Violations,
	}
}

func (l line) finish(r Record) Record {
	r.Ended, r.EndSeq, r.Status, r.Success, r.Gone, r.Hidden = l.At, l.EndSeq, l.Status, l.Success, l.Gone, l.Hidden
	return r
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

// ReadAccount reads an account that a simulator wrote to its Options.Log, also while it is being written: a last line
// with no line feed is left out, and requests without an end are in flight. Any other line that can't be read is an error that names the
// line's number. Tokens are hashed (Account.Hashed).
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
			open[l.Seq] = b.arrive(l.record())
		case l.Event == eventEnd && known:
			delete(open, l.Seq)
			b.end(index, l.finish(b.Records[index]))
		default:
			return Account{}, fmt.Errorf("account, line %d: unexpected event %q of request %d", n, l.Event, l.Seq)
		}
	}
}
