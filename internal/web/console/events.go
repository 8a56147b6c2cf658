package console

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"

	"habilita/internal/web/guard"
	"habilita/internal/web/hub"
)

const (
	// maxListeners is how many may listen to one process at a time.
	maxListeners = 64
	// heartbeat is how often something is sent, so that no proxy cuts the connection,
	// and a browser that has gone is noticed.
	heartbeat = 15 * time.Second
	// listenFor is how long a browser may listen. It then comes again, so that a key
	// that was taken back stops working.
	listenFor = 30 * time.Minute
	// eventIdle is how long a listener may take nothing of what is sent.
	eventIdle = 20 * time.Second
)

// events sends a page "change" when what it shows has changed, and "away" when Redis is
// away.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i := slices.IndexFunc(c.views, func(v view) bool { return v.name == q.Get("topic") })
	if i < 0 {
		http.Error(w, http.StatusText(http.StatusNotFound), http.StatusNotFound)
		return
	}
	select {
	case c.listeners <- struct{}{}:
		defer func() { <-c.listeners }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	topics := []hub.Topic{c.overviewTopic(), c.views[i].topic(q)}
	ctx, end := guard.UntilClosing(r.Context())
	defer end()
	defer context.AfterFunc(c.closed, end)()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	out := guard.Answer(w, r, eventIdle)
	send := func(text string) {
		_, err := io.WriteString(out, text)
		if err != nil || http.NewResponseController(out).Flush() != nil {
			end()
		}
	}
	// This covers what changed between the page and now, and says how soon to come again.
	send("retry: 3000\nevent: change\ndata: \n\n")
	look := time.NewTicker(fresh / 4)
	defer look.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	defer time.AfterFunc(listenFor, end).Stop()
	for last := ""; ; {
		state := c.hub.State(ctx, topics)
		switch {
		case ctx.Err() != nil:
			return
		case state == last:
		case state == hub.Away:
			send("event: away\ndata: \n\n")
		case last != "":
			send("event: change\ndata: \n\n")
		}
		last = state
		select {
		case <-look.C:
		case <-beat.C:
			send(":\n\n")
		case <-ctx.Done():
			return
		}
	}
}
