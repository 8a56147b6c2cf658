package wolkvox

import (
	"context"
	"crypto/x509"
	"net"
	"time"
)

// DefaultURL is where the vendor is: the template of Config.URL.
const DefaultURL = "https://wv{server}.wolkvox.com"

const (
	defaultTimeout    = 60 * time.Second // the vendor's limit of one request
	defaultAckTimeout = 10 * time.Second

	// dialTimeout bounds the making of a connection, TLS included; Config.Timeout and
	// Request.WriteBy bound it too.
	dialTimeout = 10 * time.Second
	// idleTimeout is how long a connection is kept without use. It is below
	// the 5 s after which an Apache closes it: a request that crosses a
	// closing has an unknown outcome, which costs more than a new connection.
	idleTimeout = 4 * time.Second
	// maxBody is the most of an answer that is kept and read as an envelope, in bytes.
	maxBody  = 64 << 10
	maxDrain = 8 << 20
)

// Config is how a [Client] works. The zero value is ready for the vendor.
type Config struct {
	// URL is the template of a server's base address, [DefaultURL] where it is
	// empty. "{server}" stands for the server's digits. Besides the default,
	// only this machine is accepted (127.0.0.0/8, ::1 or localhost): http or
	// https, any port, and any path, in which {server} may stand, such as
	// "http://127.0.0.1:8080/wv{server}".
	URL string

	// Timeout bounds a whole attempt, from Do's beginning to the last byte of
	// the answer. 0 is 60 s, the vendor's own limit.
	Timeout time.Duration

	// AckTimeout is how long sent bytes may stay without the vendor's machine
	// acknowledging them before the connection is dropped, so that a request
	// can't arrive long after its time on a path that came back. 0 is 10 s.
	// Linux alone has it (TCP_USER_TIMEOUT).
	AckTimeout time.Duration

	// RootCAs are the authorities trusted for https, nil for the system's.
	RootCAs *x509.CertPool

	// DialContext makes the connections under TLS, nil for a net.Dialer. It
	// answers for where they lead: a URL of this machine is not checked again
	// once its name is resolved, and AckTimeout does nothing.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}
