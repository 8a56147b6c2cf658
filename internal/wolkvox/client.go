package wolkvox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"time"
)

// Client makes requests to the vendor over a pool of connections. Make one with
// [New] and share it: it is safe for concurrent use.
type Client struct {
	cfg       Config
	to        template
	transport *http.Transport
}

// New makes a client. A field that can't be accepted is reported, with all the
// others, in a [*ConfigError]. Nothing is dialled.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	to, err := parseTemplate(cfg.URL)
	if err != nil {
		return nil, err
	}
	d := &dialer{
		timeout: dialTimeout,
		ack:     cfg.AckTimeout,
		local:   to.local,
		dial:    cfg.DialContext,
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"http/1.1"},
			RootCAs:            cfg.RootCAs,
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Client{cfg: cfg, to: to, transport: &http.Transport{
		Proxy:                  nil, // not even the environment's: no request goes elsewhere
		DialContext:            d.dialPlain,
		DialTLSContext:         d.dialTLS,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    cfg.MaxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		// A request and the head of an answer are far shorter. A worker has 1,000 connections and more.
		WriteBufferSize: smallBuffer, ReadBufferSize: smallBuffer,
	}}, nil
}

const smallBuffer = 1 << 10

// CloseIdle closes the connections that no request uses. The client can still be
// used afterwards.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// maxDeadIdle is how many dead idle connections are passed over, with nothing
// written to any of them, before an attempt is reported as not sent.
const maxDeadIdle = 3

// errUnasked is an answer to a request that was not written.
var errUnasked = errors.New("the peer answered before the request was written")

// Do makes one attempt: one request at most, and an answer read to its end. It
// returns when the answer is complete, when the connection is known to be
// broken, or when ctx, Config.Timeout or, before anything is written,
// r.WriteBy ends. An error is a [*NotSentError], [*UnknownOutcomeError],
// [*RefusedError] or [*UnreadableError], and then the Answer is zero.
func (c *Client) Do(ctx context.Context, op Operation, r Request) (Answer, error) {
	if err := errors.Join(op.validate(), r.validate()); err != nil {
		return Answer{}, &NotSentError{Cause: err}
	}
	if past(r.WriteBy) {
		return Answer{}, &NotSentError{Late: true, Cause: errLate}
	}
	ctx, stop := context.WithTimeout(ctx, c.cfg.Timeout)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	a := &attempt{writeBy: r.WriteBy}
	if !r.WriteBy.IsZero() {
		timer := time.AfterFunc(time.Until(r.WriteBy), func() {
			if a.expire() {
				cancel(errLate)
			}
		})
		defer timer.Stop()
	}
	resp, err := c.roundTrip(ctx, a, c.request(ctx, a, op, r))
	written := a.end()
	if err == nil {
		defer resp.Body.Close()
	}
	if !written {
		if err == nil {
			err = errUnasked
		}
		late := past(r.WriteBy)
		if late && !errors.Is(err, errLate) {
			err = fmt.Errorf("%w: %w", errLate, err)
		}
		return Answer{}, &NotSentError{Late: late, Cause: safeError(err, r.Token)}
	}
	if err != nil {
		return Answer{}, &UnknownOutcomeError{Cause: safeError(err, r.Token)}
	}
	return answer(resp, r.Token)
}

// answer reads an answer to its end. It is no part of Do, whose stack frame waits for the vendor a thousand times.
func answer(resp *http.Response, token string) (Answer, error) {
	body, err := readBody(resp)
	if err != nil {
		return Answer{}, &UnknownOutcomeError{Status: resp.StatusCode, Cause: safeError(err, token)}
	}
	ans, err := classify(resp.StatusCode, body, token)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		refused.RetryAfter = retryAfter(resp.Header, time.Now())
	}
	return ans, err
}

// roundTrip sends the request, and goes on to another connection only while the
// one it was given was an idle one that had died and nothing was written.
func (c *Client) roundTrip(ctx context.Context, a *attempt, req *http.Request) (*http.Response, error) {
	for dead := 0; ; dead++ {
		resp, err := c.transport.RoundTrip(req)
		if err == nil || dead == maxDeadIdle || ctx.Err() != nil || !a.diedIdle() {
			return resp, err
		}
	}
}

// request is the vendor's request, bound to its attempt.
func (c *Client) request(ctx context.Context, a *attempt, op Operation, r Request) *http.Request {
	ctx = context.WithValue(ctx, attemptKey{}, a)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			a.given(info.Reused)
			if g, ok := info.Conn.(*guardConn); ok {
				g.arm(a, info.Reused)
			}
		},
	})
	req := &http.Request{
		Method:     op.method(),
		URL:        c.to.url(r.Server, op),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		// Names are written as in the vendor's documents, not in Go's canonical case.
		Header: http.Header{
			"wolkvox-token": {r.Token},
			"User-Agent":    {"habilita"},
			"Accept":        {"*/*"},
		},
	}
	if r.ID != "" {
		req.Header["X-Request-ID"] = []string{r.ID}
	}
	return req.WithContext(ctx)
}
