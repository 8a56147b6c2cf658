package console

import (
	"context"
	"net/http"
	"time"
)

// Server is what is known of one of the vendor's servers, by all workers together.
type Server struct {
	Name     string
	Requests int // in the last while, as Window says
	Failures int // of these: no answer, or one that is the server's own failure
	// State is closed (requests pass), open (none do) or half-open (one is tried).
	State string
	// Until is when an open one is tried again; zero for none.
	Until time.Time
	// LastError is what failed last, in the words of the vendor or the network.
	LastError string
}

// Percent is the share of requests that failed, rounded up: one failure is never 0.
func (s Server) Percent() int {
	if s.Requests <= 0 {
		return 0
	}
	return min(100, (s.Failures*100+s.Requests-1)/s.Requests)
}

// Width is the share in thousandths.
func (s Server) Width() int { return s.Percent() * 10 }

// Level is ok, near or used, as a bar is coloured.
func (s Server) Level() string {
	switch p := s.Percent(); {
	case p >= 50:
		return "used"
	case p >= 10:
		return "near"
	}
	return "ok"
}

// Servers tells how the vendor's servers do.
type Servers interface {
	// Servers are those that were called in the last Window, those with most failures first.
	Servers(ctx context.Context) ([]Server, error)
	// Window is how far back the counts go.
	Window() time.Duration
}

type serversData struct {
	Servers []Server
	Window  time.Duration
}

func (c *Console) serversTopic() topic {
	return topic{"servers", func(ctx context.Context) (any, error) {
		all, err := c.o.Servers.Servers(ctx)
		return serversData{all, c.o.Servers.Window()}, err
	}}
}

func (c *Console) serversPage(w http.ResponseWriter, r *http.Request) {
	v, err := c.read(r.Context(), c.serversTopic())
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	p := c.newPage(r, "servers")
	p.Live, p.Reload, p.Data = eventsURL("servers"), reloadAfter, v
	c.show(w, r, http.StatusOK, p)
}
