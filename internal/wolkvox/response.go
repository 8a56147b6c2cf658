package wolkvox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
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

// envelope is what the vendor wraps every answer in:
// {"code": 202, "error": null, "msg": "..."}. Its texts are as received.
type envelope struct {
	code  int    // 100 to 999; 0: absent, or not a number
	fail  bool   // error says something
	err   string // error as text, JSON if it is no string
	msg   string // msg as text, JSON if it is no string
	parts bool   // code, and error or msg, are there
	data  string // data as received, JSON; "" if it is absent
}

// decodeEnvelope reads a body. fault says why it can't be read; "": it can, and is
// one JSON object. A byte order mark is skipped. The content type does not matter,
// since the vendor may get it wrong.
//
// code may be a number or a string ("code comes as a number or as a string, even
// within one page of the documents"). There is no error if error is absent, null,
// false, blank, or an empty list or object: PHP may write nothing in any of these ways.
func decodeEnvelope(body []byte) (env envelope, fault string) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		return envelope{}, "the body is empty"
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return envelope{}, "the body is not one JSON object"
	}
	env.code = codeOf(fields["code"])
	env.msg, _ = textOf(fields["msg"])
	env.err, env.fail = textOf(fields["error"])
	env.data = string(fields["data"])
	_, hasErr := fields["error"]
	_, hasMsg := fields["msg"]
	env.parts = env.code != 0 && (hasErr || hasMsg)
	return env, ""
}

// codeOf reads a code; 0 is none.
func codeOf(raw json.RawMessage) int {
	if n, ok := numberOf(raw); ok && n >= 100 && n <= 999 {
		return n
	}
	return 0
}

// numberOf reads a whole number up to a billion (1e9): 202, "202", 202.0.
func numberOf(raw json.RawMessage) (int, bool) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		if json.Unmarshal(raw, &text) != nil || !allDigits(strings.TrimSpace(text)) {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return int(f), err == nil && f == math.Trunc(f) && f >= 0 && f <= 1e9
}

// textOf is a field as text, and whether it says anything.
func textOf(raw json.RawMessage) (text string, says bool) {
	switch {
	case len(raw) == 0, string(raw) == "null":
		return "", false
	case raw[0] == '"':
		if json.Unmarshal(raw, &text) != nil {
			return "", false
		}
		return text, strings.TrimSpace(text) != ""
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case bool:
		says = v
	case []any:
		says = len(v) > 0
	case map[string]any:
		says = len(v) > 0
	default:
		says = true
	}
	// Encoded again rather than copied, so that escapes can't hide a token: PHP
	// writes "/" as "\/".
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // it came from JSON: it can't fail
	return strings.TrimSpace(out.String()), says
}
