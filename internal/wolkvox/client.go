package wolkvox

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// DefaultURL is the vendor's address, as a template for Config.URL.
const DefaultURL = "https://wv{server}.wolkvox.com"

const (
	// dialTimeout bounds the making of a connection, TLS included; Config.Timeout and
	// Request.WriteBy bound it too.
	dialTimeout = 10 * time.Second
	// idleTimeout is how long a connection is kept without use. It is below
	// the 5 s after which an Apache closes it: a request that meets the
	// closing has an unknown outcome, which costs more than a new connection.
	idleTimeout = 4 * time.Second
	// maxBody is the most of an answer that is kept and read as an envelope, in bytes.
	maxBody  = 64 << 10
	maxDrain = 8 << 20
)

// Config is how a [Client] works.
type Config struct {
	// URL is the template of a server's base address, [DefaultURL] if it is
	// empty. "{server}" stands for the server's digits. Besides the default,
	// only this machine is accepted (127.0.0.0/8, ::1 or localhost): http or
	// https, any port, and any path, which may contain {server}, such as
	// "http://127.0.0.1:8080/wv{server}".
	URL string

	// Timeout bounds a whole attempt, from Do's beginning to the last byte of
	// the answer. Required; the vendor's own limit is 60 s.
	Timeout time.Duration

	// AckTimeout is how long the vendor's machine may leave sent bytes
	// unacknowledged before the connection is dropped. So a request can't
	// arrive long after its time, on a path that came back. Required.
	// Only Linux has it (TCP_USER_TIMEOUT).
	AckTimeout time.Duration

	// DialContext makes the connections under TLS, nil for a net.Dialer. It
	// is responsible for where they lead: a URL of this machine is not checked
	// again once its name is resolved, and AckTimeout does nothing.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client makes requests to the vendor over a pool of connections. Make one with
// [New] and share it: it is safe for concurrent use.
type Client struct {
	cfg  Config
	to   template
	tls  *tls.Config // nil: none
	idle idleConns
}

// New makes a client. It fails if the URL can't be accepted; the error does not show it. New dials nothing.
func New(cfg Config) (*Client, error) {
	to, err := parseTemplate(cmp.Or(cfg.URL, DefaultURL))
	if err != nil {
		return nil, fmt.Errorf("wolkvox: URL: %w", err)
	}
	c := &Client{cfg: cfg, to: to, idle: idleConns{keep: idleTimeout, of: map[string][]*conn{}}}
	if to.scheme == "https" {
		c.tls = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			NextProtos:         []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}
	}
	return c, nil
}

// CloseIdle closes the connections that no request uses. The client can still be
// used afterwards.
func (c *Client) CloseIdle() { c.idle.closeAll() }

var errLate = errors.New("the moment by which it had to be written has passed")

// Do makes one attempt: one request at most, and an answer read to its end. It
// returns when the answer is complete, when the connection is known to be
// broken, or when ctx, Config.Timeout or, before anything is written,
// r.WriteBy ends. An error is a [*NotSentError], [*UnknownOutcomeError],
// [*RefusedError] or [*UnreadableError], and then the Answer is zero.
func (c *Client) Do(ctx context.Context, op Operation, r *Request) (Answer, error) {
	conn, err := c.request(ctx, op, r)
	if err != nil {
		return Answer{}, err
	}
	err = conn.await()
	return c.answer(ctx, conn, err, r)
}

// request makes the request of an attempt. It and answer are separate from Do to keep Do's stack frame small: a
// thousand of them wait for the vendor.
func (c *Client) request(ctx context.Context, op Operation, r *Request) (*conn, error) {
	if err := r.validate(); err != nil {
		return nil, &NotSentError{Cause: err}
	}
	until := time.Now().Add(c.cfg.Timeout)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	host := c.to.host(r.Server)
	conn, written, err := c.send(ctx, host, c.to.request(host, op, r), r.WriteBy, until)
	switch {
	case err == nil:
		conn.host = host
		return conn, nil
	case written:
		return nil, &UnknownOutcomeError{Cause: safeError(why(ctx, err), r.Token)}
	}
	return nil, &NotSentError{Late: errors.Is(err, errLate), Cause: safeError(why(ctx, err), r.Token)}
}

// send writes a request to a connection. It goes on to another connection only if the one before was an
// idle one that had died, and nothing was written to it. If it fails, written is false
// only if certainly nothing was written.
func (c *Client) send(ctx context.Context, host string, text []byte, by, until time.Time) (_ *conn, written bool, err error) {
	for {
		if past(by) {
			return nil, false, errLate
		}
		to := c.idle.take(host)
		reused := to != nil
		if !reused {
			if to, err = c.connect(ctx, c.to.address(host), earlier(by, until)); err != nil {
				return nil, false, err
			}
		}
		to.bind(ctx, until)
		written, err = to.send(ctx, text, by, reused)
		if err == nil {
			return to, true, nil
		}
		to.unbind()
		_ = to.Close()
		if written || !reused || ctx.Err() != nil || errors.Is(err, errLate) {
			return nil, written, err
		}
	}
}

// answer reads an answer to its end, if one has begun to come; err says why none has.
func (c *Client) answer(ctx context.Context, from *conn, err error, r *Request) (Answer, error) {
	var resp *http.Response
	if err == nil {
		resp, err = from.readHead()
	}
	status := 0
	var body payload
	if err == nil {
		status = resp.StatusCode
		body, err = readBody(resp)
	}
	if bound := from.unbind(); bound && err == nil && !resp.Close && from.in.Buffered() == 0 {
		c.idle.put(from)
	} else {
		_ = from.Close()
	}
	if err != nil {
		return Answer{}, &UnknownOutcomeError{Status: status, Cause: safeError(why(ctx, err), r.Token)}
	}
	ans, err := classify(status, body, r.Token)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		refused.RetryAfter = retryAfter(resp.Header, time.Now())
	}
	return ans, err
}
