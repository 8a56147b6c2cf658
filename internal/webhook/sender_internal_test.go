package webhook

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"habilita/internal/testkit/redistest"
)

// sending is a Sender on a miniredis.
type sending struct {
	*Sender
	t   *testing.T
	log *strings.Builder
	end func()
}

func send(t *testing.T, secrets string, urls ...string) *sending {
	t.Helper()
	receivers, err := ParseReceivers(strings.Join(urls, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(secrets)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := &sending{t: t, log: &strings.Builder{}}
	log := zerolog.New(zerolog.SyncWriter(s.log))
	s.Sender = newSender(NewOutbox(clientOf(t, redistest.Mini(t).Addr()), ""), receivers, signer, m, log)
	return s
}

// start lets it run until the test ends, or end is called.
func (s *sending) start() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	s.end = sync.OnceFunc(func() { stop(); <-ended })
	s.t.Cleanup(s.end)
}

// posted is what a receiver got.
type posted struct {
	header http.Header
	body   []byte
}

// receiver gives what it gets to got, and answers as answer says.
func receiver(t *testing.T, answer http.HandlerFunc) (url string, got chan posted) {
	got = make(chan posted, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- posted{r.Header, body}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// Each secret verifies an event, so that receivers may have either while the secrets are changed.
func TestSignature(t *testing.T) {
	one, two, other := GenerateSecret(), GenerateSecret(), GenerateSecret()
	url, got := receiver(t, answers(204))
	s := send(t, one+"\n"+two, url+"/hook")
	e := NewTest(time.Now())
	put(t, s.outbox, &e, s.receivers[0].ID)
	s.start()
	p := <-got
	if p.header.Get("Webhook-Id") != e.ID || p.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", p.header)
	}
	for secret, want := range map[string]bool{one: true, two: true, other: false} {
		key, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := key.Verify(p.body, p.header); (err == nil) != want {
			t.Errorf("verified: %v", err)
		}
		if key.Verify(append(p.body, ' '), p.header) == nil {
			t.Error("another body is verified")
		}
	}
	if !strings.HasPrefix(string(p.body), `{"type":"test","timestamp":"`) {
		t.Errorf("%s", p.body)
	}
}

// failing waits until the first try of an event has failed, and returns why.
func (s *sending) failing(id string) string {
	for {
		d, ok, err := s.outbox.Delivery(s.t.Context(), s.receivers[0].ID, id)
		if err != nil || !ok {
			s.t.Fatal("no delivery", err)
		}
		if d.Error != "" {
			return d.Error
		}
		pause(s.t.Context(), time.Millisecond)
	}
}

// A redirect is not a success and is not followed. Neither a receiver's answer nor its address is shown.
func TestFailures(t *testing.T) {
	elsewhere, never := receiver(t, answers(204))
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		url    string
		says   string
	}{
		"a redirect": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		}, says: "answered 307"},
		"an answer without an end": {answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(strings.Repeat("private answer ", 100)))
			}
		}, says: "answered 502"},
		"nobody": {url: "http://127.0.0.1:1", says: "no connection"},
	} {
		t.Run(name, func(t *testing.T) {
			url := c.url
			if url == "" {
				url, _ = receiver(t, c.answer)
			}
			s := send(t, GenerateSecret(), url+"/secret-path")
			e := NewTest(time.Now())
			put(t, s.outbox, &e, s.receivers[0].ID)
			s.start()
			why := s.failing(e.ID)
			s.end()
			if !strings.Contains(why, c.says) {
				t.Errorf("it says %q", why)
			}
			for _, secret := range []string{"secret-path", "private answer"} {
				if strings.Contains(why+s.log.String(), secret) {
					t.Errorf("it tells %q: %s %s", secret, why, s.log)
				}
			}
			if len(never) > 0 {
				t.Error("a redirect was followed")
			}
		})
	}
}

// A receiver that hangs does not hold up the others, and this worker keeps only sendPlaces requests open to it.
func TestReceiverThatHangs(t *testing.T) {
	t.Parallel()
	hangs, hung := receiver(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	good, got := receiver(t, answers(200))
	s := send(t, GenerateSecret(), hangs, good)
	s.client.Timeout = time.Hour // nothing here is to depend on how fast the machine is
	for range 3 * sendPlaces {
		e := NewTest(time.Now())
		put(t, s.outbox, &e, s.receivers[0].ID, s.receivers[1].ID)
	}
	s.start()
	for range 3 * sendPlaces {
		<-got
	}
	for range sendPlaces {
		<-hung
	}
	if len(hung) > 0 {
		t.Error("more requests than places at once")
	}
	s.end() // at once, though requests are in flight
	// What was cut off counts as not tried: it is sent again at once, and nobody is blamed.
	all, err := s.outbox.Deliveries(t.Context(), s.receivers[0].ID, 100)
	if err != nil || len(all) != 3*sendPlaces {
		t.Fatal(len(all), err)
	}
	for _, d := range all {
		if d.Tries != 0 || d.Error != "" {
			t.Errorf("%+v", d)
		}
	}
}
