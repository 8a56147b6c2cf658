package guard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"habilita/internal/web/guard"
)

// serve has time-outs that are over before anything streams.
func serve(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func TestBodyOutlivesTheReadTimeout(t *testing.T) {
	got := make(chan string, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(guard.Body(w, r, time.Minute))
		if err != nil {
			t.Error(err)
		}
		got <- string(b)
		_, _ = io.WriteString(guard.Answer(w, r, time.Minute), "thanks")
	})
	pr, pw := io.Pipe()
	go func() {
		for range 3 {
			<-time.After(200 * time.Millisecond)
			_, _ = io.WriteString(pw, "row\n")
		}
		pw.Close()
	}()
	res, err := http.Post(url, "text/csv", pr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if body := <-got; body != "row\nrow\nrow\n" || string(b) != "thanks" {
		t.Errorf("%q %q", body, b)
	}
}

func TestBodyThatStandsStillEnds(t *testing.T) {
	failed := make(chan error, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(guard.Body(w, r, 20*time.Millisecond))
		failed <- err
	})
	pr, pw := io.Pipe()
	defer pw.Close()
	go func() {
		if res, err := http.Post(url, "text/csv", pr); err == nil {
			res.Body.Close()
		}
	}()
	if err := <-failed; err == nil {
		t.Error("it was read to its end")
	}
}

// The context of a request ends where its connection does, and not with the read time-out.
func TestAnswerOutlivesTheTimeouts(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		a := guard.Answer(w, r, time.Minute)
		for range 3 {
			select {
			case <-r.Context().Done():
				t.Error("the request ended")
			case <-time.After(200 * time.Millisecond):
			}
			_, _ = io.WriteString(a, "event\n")
			a.(http.Flusher).Flush()
		}
	})
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); string(b) != "event\nevent\nevent\n" {
		t.Errorf("%q %v", b, err)
	}
}
