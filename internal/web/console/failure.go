package console

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/ledger"
)

// failure is a page that says what went wrong.
type failure struct {
	status int
	key    string // of its texts: failure.KEY.title, .body
	detail string // of its texts too: redis.DETAIL; "" none
	back   string // where to go on; "" is the list of batches
}

// failureData is what its template is given.
type failureData struct{ Key, Detail, Back string }

func (c *Console) fail(w http.ResponseWriter, r *http.Request, f failure) {
	p := c.newPage(r, "failure")
	p.Title = c.sites[p.Lang].sayOr("failure."+f.key+".title", "")
	if f.back == "" {
		f.back = "/"
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			p.Reload, p.Always = 5, true
		}
	}
	p.Data = failureData{Key: f.key, Detail: f.detail, Back: f.back}
	c.show(w, r, f.status, p)
}

func (c *Console) notFound(w http.ResponseWriter, r *http.Request) {
	c.fail(w, r, failure{status: http.StatusNotFound, key: "missing"})
}

// failRead answers for a reading that failed.
func (c *Console) failRead(w http.ResponseWriter, r *http.Request, err error) {
	_, chain := errors.AsType[*control.UnknownChainError](err)
	f := failure{status: http.StatusNotFound, key: "missing"}
	switch {
	case errors.Is(err, ledger.ErrNoBatch):
		f.key = "batch"
	case chain:
		f.key, f.back = "chain", "/chains"
	case errors.Is(err, breaker.ErrUnknownServer), errors.Is(err, control.ErrChainID), errors.Is(err, control.ErrCursor),
		errors.Is(err, control.ErrAuditID), errors.Is(err, errQuery):
	case r.Context().Err() != nil:
		return // nobody waits for it any more
	default:
		c.o.Log.Warn().Err(err).Msg("a page could not be read from Redis")
		f = failure{status: http.StatusServiceUnavailable, key: "away", detail: redisWord(err)}
	}
	c.fail(w, r, f)
}

// redisReplies are the codes of Redis's refusals that pages have words for.
var redisReplies = map[string]string{
	"LOADING": "loading", "READONLY": "replica", "MASTERDOWN": "replica", "NOREPLICAS": "replicas", "OOM": "full", "MISCONF": "disk",
	"BUSY": "busy", "CLUSTERDOWN": "cluster", "NOAUTH": "access", "WRONGPASS": "access", "NOPERM": "access",
}

// redisWord is the key of the words for what is wrong with Redis, "" where there are none.
// The worker's log has the whole of it.
func redisWord(err error) string {
	if reply, ok := errors.AsType[redis.Error](err); ok {
		code, _, _ := strings.Cut(reply.Error(), " ")
		return redisReplies[code]
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return "slow"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	}
	return ""
}
