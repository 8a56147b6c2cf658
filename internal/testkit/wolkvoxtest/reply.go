package wolkvoxtest

import (
	"cmp"
	"net"
	"net/http"
	"strconv"
	"time"
)

// drips is the largest number of pieces of a Drip answer.
const drips = 16

// reply writes the answer of a job whose work is over. It calls end before the last byte is written.
func (s *Simulator) reply(w http.ResponseWriter, j *job, body []byte, end func()) {
	switch j.fault.Kind {
	case ResetBefore, ResetAfter:
		end()
		reset(w)
		return
	case BOM:
		body = append([]byte("\ufeff"), body...)
	}
	length := len(body)
	if j.fault.Kind == Cut {
		length += 64
		body = body[:len(body)/2]
	}
	h := w.Header()
	for name, value := range j.answer.header {
		h.Set(name, value)
	}
	h.Set("Content-Type", j.answer.contentType)
	h.Set("Content-Length", strconv.Itoa(length))
	if j.fault.Kind == Drip {
		s.drip(w, j, body, end)
		return
	}
	end()
	w.WriteHeader(j.answer.status)
	// A write that fails, or that is short of the Content-Length, makes net/http close the connection.
	_, _ = w.Write(body)
}

// drip writes the body in pieces, spread over the fault's time. The vendor works until the last piece, even if nobody
// reads them.
func (s *Simulator) drip(w http.ResponseWriter, j *job, body []byte, end func()) {
	w.WriteHeader(j.answer.status)
	flusher := http.NewResponseController(w)
	pieces := min(drips, len(body))
	for i := range pieces {
		_ = flusher.Flush()
		if !s.pause(cmp.Or(j.fault.Delay, defaultDrip) / time.Duration(pieces)) {
			end()
			return
		}
		if i == pieces-1 {
			end()
		}
		_, _ = w.Write(body[i*len(body)/pieces : (i+1)*len(body)/pieces])
	}
}

// reset breaks the connection with no answer: by RST over TCP, otherwise by closing it.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // as net/http documents for aborting a response
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
