package guard

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"habilita/internal/loopback"
)

// ErrNoKeys says that an address that others can reach would be open to all.
var ErrNoKeys = errors.New("LISTEN is an address that other machines can reach, and there is no key to ask them for: " +
	"set HABILITA_API_KEYS or HABILITA_API_KEYS_FILE (`enqueue keygen --api NAME` prints a key), or LISTEN=127.0.0.1:8080, or LISTEN=off")

// Guard stands before the handlers. It is safe for concurrent use.
type Guard struct {
	keys  Keys
	cross *http.CrossOriginProtection
	log   zerolog.Logger
	say   *rate.Limiter // of lines of the log

	throttle *rate.Limiter          // of wrong keys, see wrongKeys
	wrong    *prometheus.CounterVec // wrong keys, by how they were answered
}

// The rate of wrong keys, from all callers together. It makes a program with an old key ask less often. Keys are too long
// to be guessed. A right key is never throttled.
const (
	wrongKeys  = 10 // at once
	wrongEvery = 6 * time.Second
)

// New makes the Guard of what is served at the address listen (host:port; "" if
// nothing is). Its error is ErrNoKeys.
func New(keys Keys, listen string, log zerolog.Logger) (*Guard, error) {
	if len(keys) == 0 && listen != "" && !loopback.Host(listen) {
		return nil, ErrNoKeys
	}
	g := &Guard{
		keys: keys, log: log,
		cross: http.NewCrossOriginProtection(),
		say:   rate.NewLimiter(rate.Every(time.Second), 3), throttle: rate.NewLimiter(rate.Every(wrongEvery), wrongKeys),
		wrong: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "habilita_http_wrong_keys_total",
			Help: "Requests with a wrong API key, by code: 401, or 429 when there were too many.",
		}, []string{"code"}),
	}
	for _, code := range []string{"401", "429"} {
		g.wrong.WithLabelValues(code) // there from the start, at 0
	}
	return g, nil
}

// Describe and Collect make the Guard a prometheus.Collector.
func (g *Guard) Describe(to chan<- *prometheus.Desc) { g.wrong.Describe(to) }

// Collect is the other method of prometheus.Collector.
func (g *Guard) Collect(to chan<- prometheus.Metric) { g.wrong.Collect(to) }

// Wrap passes requests that may do what they ask for on to next, with the caller in
// their context (From).
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := g.who(w, r)
		if !ok {
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if err := g.cross.Check(r); err != nil {
				g.tell(r, "a page of another site asked for a change").Str("name", who.Name).Send()
				WriteProblem(w, r, Problem{Status: http.StatusForbidden, Type: ProblemTypeBase + "cross-origin",
					Title: "From another site's page", Detail: "a browser says that this comes from a page of another site, so nothing was done"})
				return
			}
			if !who.CanWrite {
				WriteProblem(w, r, Problem{Status: http.StatusForbidden, Type: ProblemTypeBase + "read-only",
					Title: "This key may only look", Detail: "use a key of the kind write: `enqueue keygen --api NAME` prints one"})
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(With(r.Context(), who)))
	})
}

// who finds out who asks. If that is not ok, it has answered the request.
func (g *Guard) who(w http.ResponseWriter, r *http.Request) (Principal, bool) {
	if len(g.keys) == 0 { // everybody on this machine is let in
		if !loopback.Host(r.Host) {
			g.tell(r, "asked for under a name that is not this machine's").Send()
			WriteProblem(w, r, Problem{Status: http.StatusMisdirectedRequest, Type: ProblemTypeBase + "host",
				Title: "Not under this name", Detail: "without keys this answers only to localhost, 127.0.0.1 and [::1]; set HABILITA_API_KEYS to use another name"})
			return Principal{}, false
		}
		return Principal{Name: local, CanWrite: true}, true
	}
	key, given := credentials(r)
	if given {
		if p, ok := g.keys.find(key); ok {
			return p, true
		}
		g.tell(r, "a wrong API key").Send()
		if !WantsHTML(r) && !g.throttle.Allow() { // a browser asks its user again only after 401
			g.wrong.WithLabelValues("429").Inc()
			w.Header().Set("Retry-After", strconv.Itoa(int(wrongEvery.Seconds())))
			WriteProblem(w, r, Problem{Status: http.StatusTooManyRequests, Type: ProblemTypeBase + "wrong-keys",
				Title: "Too many wrong keys", Detail: "this key is not one of HABILITA_API_KEYS, and too many wrong ones were given lately: correct the key before you ask again"})
			return Principal{}, false
		}
		g.wrong.WithLabelValues("401").Inc()
	}
	h := w.Header()
	h.Add("WWW-Authenticate", `Bearer realm="habilita"`)
	if WantsHTML(r) {
		// So that a browser asks its user; one that fetches in the background must not.
		h.Add("WWW-Authenticate", `Basic realm="habilita", charset="UTF-8"`)
	}
	detail := "send a key as Authorization: Bearer KEY, or as the password of HTTP Basic"
	if given {
		detail = "this key is not one of HABILITA_API_KEYS"
	}
	WriteProblem(w, r, Problem{Status: http.StatusUnauthorized, Type: ProblemTypeBase + "key", Title: "A key is needed", Detail: detail})
	return Principal{}, false
}

// credentials finds the key of a request.
func credentials(r *http.Request) (key string, given bool) {
	all := r.Header.Values("Authorization")
	if len(all) == 0 {
		return "", false
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password, len(all) == 1
	}
	scheme, key, _ := strings.Cut(all[0], " ")
	if len(all) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(key), true
}

// tell begins a line of the log, or returns nil if there were enough of them.
func (g *Guard) tell(r *http.Request, what string) *zerolog.Event {
	if !g.say.Allow() {
		return nil
	}
	return g.log.Warn().Str("from", r.RemoteAddr).Str("method", r.Method).Str("refused", what)
}

// Principal is who asks.
type Principal struct {
	// Name is the name of the key, or "local" if there are none.
	Name string
	// CanWrite says whether it may change anything.
	CanWrite bool
}

type contextKey struct{}

// From returns who asks, as the Guard put it into the request's context. The zero
// Principal, which may not write, is nobody.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}

// With returns a context of a request that the principal makes.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}
