// Package apitest serves the HTTP API for tests, keeps what they send and get (Keep), and
// sends what nobody should send: requests that are changed in a few places, byte for byte, also
// where no HTTP client would.
package apitest

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// Token is the token of all requests: no answer may hold it.
const Token = "secret-token-for-mutations"

// half is how long to wait for an answer before closing the sending side.
const half = 200 * time.Millisecond

// Outcome is the outcome of a request.
type Outcome struct {
	Status int    // 0: no answer, which only what is no HTTP may get
	Fault  string // what must not be; "" where all is well
}

// templates are valid requests in which %d stands for a number.
var templates = []string{
	call(`{"server":"0042","token":"` + Token + `","licenses":3,"ref":"ref %d","id":"id-%d","chain":"c"}`),
	call(`{"server":"42","token":"` + Token + `","batch":"mutated calls","at":"2090-01-01T00:00:00Z","ref":"%d"}`),
	strings.Replace(call(`{"server":"1","token":"`+Token+`","ref":"%d"}`), "\r\n", "\r\nIdempotency-Key: key-%d\r\n", 1),
	post("/v1/batches?batch=mutated%%20rows&on_failure=skip", "text/csv", "server,token,licenses,ref,id\n1,"+Token+",1,ref,a%d\n2,"+Token+",2,ref,b%d\n"),
	post("/v1/batches?batch=mutated%%20lines&in=10m", "application/x-ndjson", `{"server":"1","token":"`+Token+`","id":"c%d"}`+"\n"+`{"server":"2","token":"`+Token+`"}`+"\n"),
	get("/v1/batches?limit=5&cursor=RnYp5j28MDAwMDAxNzY0MDAwMDAwMDpheHh4eHh4eHh4eHg"),
	get("/v1/batches/mutated%%20rows/calls?limit=10&state=queued&ref=ref&cursor=bCQILBrFMTowOmFi"),
	get("/v1/batches/mutated%%20rows"), get("/v1/calls/id-%d?batch=&token_id=x"), get("/v1/chains?state=held&limit=3"),
	get("/v1/tokens?limit=3"), get("/v1/actions?limit=3&cursor=1-1"), get("/v1/workers"), get("/v1/schedules"), get("/v1/schedules/nightly"), post("/v1/schedules/nightly/run?overlap=true", "text/plain", ""), get("/v1/batches/mutated%%20rows/calls.csv"),
	post("/v1/batches/mutated%%20lines/cancel", "text/plain", ""), post("/v1/chains/"+strings.Repeat("a", 24)+"/retry", "text/plain", ""),
}

func call(body string) string { return post("/v1/calls", "application/json", body) }

func get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer KEY\r\n\r\n"
}

func post(path, media, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer KEY\r\nContent-Type: " + media +
		"\r\nContent-Length: LENGTH\r\n\r\n" + body
}

// Request is the nth mutated request, as it goes over the wire, with the API key ("": a
// wrong one, where none is wanted).
func Request(r *rand.Rand, n int, key string) []byte {
	text := templates[r.IntN(len(templates))]
	text = fmt.Sprintf(text, numbers(strings.Count(text, "%d"), n)...)
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	head = strings.Replace(head, "KEY", key, 1)
	b := []byte(body)
	// Most of the time only the body is changed, and its length is right, or else nothing gets that far.
	where := r.IntN(4)
	if where > 0 && len(b) > 0 {
		b = mutate(r, b)
	}
	head = strings.Replace(head, "LENGTH", fmt.Sprint(len(b)), 1)
	h := []byte(head)
	switch {
	case where == 0:
		h = mutate(r, h)
	case len(b) == 0 && where > 1:
		line := bytes.IndexByte(h, '\r')
		h = append(mutate(r, bytes.Clone(h[5:line-9])), h[line-9:]...)
		h = append([]byte(head[:5]), h...)
	}
	return append(append(h, "\r\n\r\n"...), b...)
}

func numbers(n, v int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// mutate changes some bytes in one to three places.
func mutate(r *rand.Rand, b []byte) []byte {
	words := []string{`"`, `\`, "{", "}", "[", ":", ",", "\n", "\r\n", "\x00", "\xff", "\xef\xbb\xbf", "\\ud800", "%", "%00", "%ff", "&", "=", "null", "true",
		"1e999", "-1", "99999999999999999999", "0", "..", "//", "?", "#", " ", "\t", "é", strings.Repeat("x", 300), strings.Repeat("[", 2000), `,"token":"y"`, `"id":"z",`}
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return []byte("x")
		}
		at := r.IntN(len(b))
		word := words[r.IntN(len(words))]
		switch r.IntN(6) {
		case 0:
			b[at] = byte(r.Uint32())
		case 1, 2:
			b = append(b[:at], append([]byte(word), b[at:]...)...)
		case 3:
			b = append(b[:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 4:
			b = append(b, b[at:]...)
		case 5:
			b = b[:at]
		}
	}
	return b
}

// Send sends a request to addr and judges the answer. known are other secrets that no
// answer may hold.
func Send(addr string, request []byte, patience time.Duration, known ...string) Outcome {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return Outcome{Fault: "it does not listen any more: " + err.Error()}
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write(request) // it may have been answered before its end
	// The server waits for more if a request announces more than it sends, so tell it the end.
	told := make(chan bool)
	answered := make(chan struct{})
	go func() {
		wait := time.NewTimer(half)
		defer wait.Stop()
		select {
		case <-answered:
			told <- false
		case <-wait.C:
			_ = c.(*net.TCPConn).CloseWrite()
			told <- true
		}
	}()
	text, err := io.ReadAll(c)
	close(answered)
	cut := <-told
	if err != nil && len(text) == 0 && strings.Contains(err.Error(), "timeout") {
		return Outcome{Fault: "no answer in time"}
	}
	for _, secret := range append(known, Token) {
		if secret != "" && bytes.Contains(text, []byte(secret)) {
			return Outcome{Fault: "the answer holds a secret"}
		}
	}
	o := Outcome{}
	if _, err := fmt.Sscanf(string(text[:min(len(text), 12)]), "HTTP/1.1 %d", &o.Status); err != nil && len(text) > 0 {
		if _, err := fmt.Sscanf(string(text[:min(len(text), 12)]), "HTTP/1.0 %d", &o.Status); err != nil {
			o.Fault = "no answer in HTTP"
		}
	}
	if cut && o.Status == http.StatusServiceUnavailable {
		return o // to a caller that had gone, for all that the server knew
	}
	// net/http's own answers to what is no HTTP/1.1.
	if o.Status >= 500 && o.Status != http.StatusNotImplemented && o.Status != http.StatusHTTPVersionNotSupported {
		o.Fault = fmt.Sprintf("status %d", o.Status)
	}
	return o
}
