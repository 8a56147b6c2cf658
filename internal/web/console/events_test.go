package console_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"habilita/internal/web/console/consoletest"
)

// listen opens /events and returns its events, one by one. The channel is closed when
// the stream ends.
func (w world) listen(query string) (status int, told <-chan string, stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+"/events?"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	events := make(chan string, 100)
	go func() {
		defer close(events)
		defer res.Body.Close()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				events <- name
			}
		}
	}()
	return res.StatusCode, events, cancel
}

func (w world) told(events <-chan string, want string) {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case name, ok := <-events:
			if !ok {
				w.t.Fatalf("the stream ended before %q", want)
			}
			if name == want {
				return
			}
		case <-deadline:
			w.t.Fatalf("no event %q", want)
		}
	}
}

func TestListenersAreTold(t *testing.T) {
	w := open(t, consoletest.Options{Vendor: strict()})
	w.Vendor.Hold()
	w.enqueue("one", "good-1", 2)
	w.get("/batches/one").has(t, 200) // is what a change is a change from
	status, events, stop := w.listen("topic=batch&name=one")
	defer stop()
	if status != 200 {
		t.Fatal(status)
	}
	w.told(events, "change") // what may have changed since the page was made
	w.Vendor.Release()
	w.told(events, "change")
	w.settled("one")
	w.Redis.SetError("LOADING Redis is loading the dataset in memory")
	w.told(events, "away")
	w.Redis.SetError("")
	w.told(events, "change")
	if status, _, stop := w.listen("topic=nothing"); status != http.StatusNotFound {
		t.Errorf("got %d", status)
	} else {
		stop()
	}
}

// A server's Shutdown waits for requests: those that never end by themselves must end.
func TestListenersEndWithTheServer(t *testing.T) {
	s, err := consoletest.Open(t.Context(), consoletest.Options{NoWorker: true})
	if err != nil {
		t.Fatal(err)
	}
	w := world{s, t}
	_, events, stop := w.listen("topic=batches")
	defer stop()
	w.told(events, "change")
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range events { // until it is closed
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("took %s", took)
	}
}

func TestListenersAreBounded(t *testing.T) {
	w := open(t, consoletest.Options{NoWorker: true})
	var last func()
	for range 64 {
		status, _, stop := w.listen("topic=batches")
		if status != http.StatusOK {
			t.Fatal(status)
		}
		defer stop()
		last = stop
	}
	if status, _, stop := w.listen("topic=batches"); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", status)
	} else {
		stop()
	}
	last()
	for deadline := time.After(patience); ; {
		status, _, stop := w.listen("topic=batches")
		stop()
		if status == http.StatusOK {
			return
		}
		select {
		case <-deadline:
			t.Fatal("one has gone, and no other may listen")
		default:
		}
	}
}
