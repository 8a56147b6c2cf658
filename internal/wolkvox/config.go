package wolkvox

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// DefaultURL is where the vendor is: the template of Config.URL.
const DefaultURL = "https://wv{server}.wolkvox.com"

const (
	defaultTimeout    = 60 * time.Second // the vendor's limit of one request
	defaultAckTimeout = 10 * time.Second
	defaultMaxIdle    = 64

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
	// the answer. 0 is 60 s, the vendor's own limit; below 0 is refused.
	Timeout time.Duration

	// AckTimeout is how long sent bytes may stay without the vendor's machine
	// acknowledging them before the connection is dropped, so that a request
	// can't arrive long after its time on a path that came back. 0 is 10 s;
	// below 0 is refused. Linux alone has it (TCP_USER_TIMEOUT).
	AckTimeout time.Duration

	// MaxIdle is how many unused connections are kept for one server. 0 is 64;
	// below 0 is refused.
	MaxIdle int

	// RootCAs are the authorities trusted for https, nil for the system's.
	RootCAs *x509.CertPool

	// DialContext makes the connections under TLS, nil for a net.Dialer. It
	// answers for where they lead: a URL of this machine is not checked again
	// once its name is resolved, and AckTimeout does nothing.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// ConfigError is everything that is wrong with a Config, for errors.As; its
// Unwrap gives the single faults.
type ConfigError struct {
	Faults []error // one for each field that is wrong, never empty
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("wolkvox: bad config: %v", errors.Join(e.Faults...))
}

// Unwrap gives the single faults.
func (e *ConfigError) Unwrap() []error { return e.Faults }

// withDefaults is a copy with every zero field filled in, and all of its faults.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	if c.URL == "" {
		c.URL = DefaultURL
	}
	duration := func(name string, d *time.Duration, def time.Duration) {
		if *d < 0 {
			faults = append(faults, fmt.Errorf("%s: %s is below 0", name, *d))
		}
		if *d == 0 {
			*d = def
		}
	}
	duration("Timeout", &c.Timeout, defaultTimeout)
	duration("AckTimeout", &c.AckTimeout, defaultAckTimeout)
	if c.MaxIdle < 0 {
		faults = append(faults, fmt.Errorf("MaxIdle: %d is below 0", c.MaxIdle))
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = defaultMaxIdle
	}
	if _, err := parseTemplate(c.URL); err != nil {
		faults = append(faults, fmt.Errorf("URL: %w", err))
	}
	if len(faults) > 0 {
		return c, &ConfigError{Faults: faults}
	}
	return c, nil
}
