package console

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/membership"
	"habilita/internal/schedule"
	"habilita/internal/web/hub"
)

// Options are what a Console needs.
type Options struct {
	// Control is what it shows and acts through. Required.
	Control *control.Control
	// Processes are the live processes. Required.
	Processes *membership.Registry
	// Schedules are the recurring runs. Required.
	Schedules *schedule.Store
	// Servers are the vendor's servers. Required.
	Servers *breaker.Store
	// Location is the time zone of the times that pages show. Nil is UTC.
	Location *time.Location
	// Log takes what goes wrong.
	Log zerolog.Logger
	// Now is the time for the ages that pages show. Nil is time.Now.
	Now func() time.Time
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	o     Options
	sites map[string]*site // by language
	hub   *hub.Hub
	rates *rates

	listeners chan struct{}   // has room for as many as may listen
	closed    context.Context // over after Close
	close     context.CancelFunc

	cross *http.CrossOriginProtection
	views []view
	mux   *http.ServeMux
}

// New makes a Console. Nothing is read before somebody looks. Close it.
func New(o Options) *Console {
	o.Location = cmp.Or(o.Location, time.UTC)
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Console{o: o, sites: loadSites(o.Location), rates: newRates(), cross: http.NewCrossOriginProtection(), hub: hub.New(o.Now, fresh, readShare),
		listeners: make(chan struct{}, maxListeners)}
	c.closed, c.close = context.WithCancel(context.Background())
	c.views = c.makeViews()
	c.mux = c.routes()
	return c
}

// ServeHTTP answers for all paths of the console, including unknown ones.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if err := c.cross.Check(r); err != nil {
		c.fail(w, r, failure{Status: http.StatusForbidden, Key: "cross"})
		return
	}
	c.mux.ServeHTTP(w, r)
}

// Close ends all listeners. Pages are still answered.
func (c *Console) Close() { c.close() }

// fresh is how old the data that pages show may be.
const fresh = time.Second

// readShare limits the reads of one thing that pages show to 1/readShare of the time.
const readShare = 20

// read returns what was read of a topic.
func read[T any](ctx context.Context, c *Console, t hub.Topic) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, hub.Patience)
	defer cancel()
	return hub.Get[T](ctx, c.hub, t, false)
}

// policy lets a page use only the files of this server. No other site may frame it or get
// its forms. There is no script or style in a page itself.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that every answer has.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}
