package wolkvox

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	errEndless   = errors.New("the answer's body has not ended after 8 MiB")
	errSwitched  = errors.New("the peer switched protocols instead of answering")
	errOpenEnded = errors.New("the connection ended, with nothing to tell a complete body from a cut one")
)

// payload is the body of a complete answer.
type payload struct {
	data  []byte   // at most maxBody of it
	env   envelope // what it says, if fault is empty
	fault string   // why it is no envelope; "" for none
}

// readBody reads an answer to its end. An error means that the answer is not
// known to be complete.
func readBody(resp *http.Response) (payload, error) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return payload{}, errSwitched
	}
	if resp.ContentLength > maxDrain {
		return payload{}, errEndless
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return payload{}, err
	}
	rest, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxDrain-int64(len(data))+1))
	if err != nil {
		return payload{}, err
	}
	if int64(len(data))+rest > maxDrain {
		return payload{}, errEndless
	}
	p := payload{data: data}
	if rest > 0 {
		p.fault = "the body is longer than the cap"
	} else {
		p.env, p.fault = decodeEnvelope(data)
	}
	framed := resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0
	if !framed && p.fault != "" {
		return payload{}, errOpenEnded
	}
	return p, nil
}

// maxRetryAfter is the longest Retry-After that is believed.
const maxRetryAfter = time.Hour

// retryAfter reads a Retry-After: seconds or an HTTP date. A date is measured from
// the answer's own Date if it has one, so that our clock plays no part, else from
// now. It is 0 for none, for the past and for what can't be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if allDigits(text) {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
