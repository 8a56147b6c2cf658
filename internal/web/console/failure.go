package console

import (
	"cmp"
	"errors"
	"net/http"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// failure is a page that says what went wrong.
type failure struct {
	Status int
	Key    string // of its texts: failure.KEY.title, .body
	Detail string // of its texts too: redis.DETAIL; "" none
	Back   string // where to go on; "" is the list of batches
}

func (c *Console) fail(w http.ResponseWriter, r *http.Request, f failure) {
	p := c.newPage(r, "failure")
	p.Title = c.sites[p.Lang].sayOr("failure."+f.Key+".title", "")
	f.Back = cmp.Or(f.Back, "/")
	if f.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			p.Reload, p.Always = 5, true
		}
	}
	p.Data = f
	c.show(w, r, f.Status, p)
}

func (c *Console) notFound(w http.ResponseWriter, r *http.Request) {
	c.fail(w, r, failure{Status: http.StatusNotFound, Key: "missing"})
}

// failRead answers for a reading that failed.
func (c *Console) failRead(w http.ResponseWriter, r *http.Request, err error) {
	f := failure{Status: http.StatusNotFound, Key: "missing"}
	switch {
	case errors.Is(err, ledger.ErrNoBatch):
		f.Key = "batch"
	case errors.Is(err, control.ErrNotHeld), errors.Is(err, control.ErrNoChain):
		f.Key, f.Back = "chain", "/chains"
	case errors.Is(err, breaker.ErrUnknownServer), errors.Is(err, control.ErrChainID), errors.Is(err, control.ErrCursor),
		errors.Is(err, errQuery):
	case r.Context().Err() != nil:
		return // nobody waits for it any more
	default:
		c.o.Log.Warn().Err(err).Msg("a page could not be read from Redis")
		f = failure{Status: http.StatusServiceUnavailable, Key: "away", Detail: redisconn.Word(err)}
	}
	c.fail(w, r, f)
}
