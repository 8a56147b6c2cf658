package console

import (
	"io"
	"net/http"
	"time"

	"habilita/internal/web/guard"
)

const (
	// heartbeat is how often something is sent, so that what stands between does not
	// cut the connection, and a browser that has gone is found out.
	heartbeat = 15 * time.Second
	// listenFor is how long one may listen; the browser then comes again, with a key
	// that may have been taken back.
	listenFor = 30 * time.Minute
	// eventIdle is how long a listener may take none of what is sent.
	eventIdle = 20 * time.Second
)

// events tells a page that what it shows has changed: "change"; or that Redis is away:
// "away".
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	topics, err := c.topics(r.URL.Query())
	if err != nil {
		http.Error(w, http.StatusText(http.StatusNotFound), http.StatusNotFound)
		return
	}
	watch, end, err := c.hub.watch(topics)
	if err != nil {
		w.Header().Set("Retry-After", "30")
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	defer end()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	out := guard.Answer(w, r, eventIdle)
	send := func(text string) bool {
		if _, err := io.WriteString(out, text); err != nil {
			return false
		}
		return http.NewResponseController(out).Flush() == nil
	}
	// What changed between the page and now, and how soon to come again.
	if !send("retry: 3000\nevent: " + c.news(watch) + "\ndata: \n\n") {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	over := time.NewTimer(listenFor)
	defer over.Stop()
	for {
		select {
		case <-watch.changed:
			if !send("event: " + c.news(watch) + "\ndata: \n\n") {
				return
			}
		case <-beat.C:
			if !send(":\n\n") {
				return
			}
		case <-r.Context().Done():
			return
		case <-guard.Closing(r.Context()):
			return
		case <-c.hub.ctx.Done():
			return
		case <-over.C:
			return
		}
	}
}

func (c *Console) news(w *watcher) string {
	if c.hub.failed(w) != nil {
		return "away"
	}
	return "change"
}
