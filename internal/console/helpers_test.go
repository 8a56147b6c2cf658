package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"habilita/internal/actionlog"
	"habilita/internal/console/consoletest"
	"habilita/internal/operator"
	"habilita/internal/wolkvox/wolkvoxtest"
	"habilita/tasks"
)

// patience is for what must come, on a machine that is busy with other things.
const patience = 60 * time.Second

// strict is a vendor that refuses tokens that begin with bad-, and fails those that
// begin with down-.
func strict() wolkvoxtest.Options {
	return wolkvoxtest.Options{
		TokenInfo: func(token string) (wolkvoxtest.Token, bool) {
			return wolkvoxtest.Token{Licenses: 1, Bad: strings.HasPrefix(token, "bad-")}, true
		},
		Script: func(r wolkvoxtest.Request) wolkvoxtest.Fault {
			if strings.HasPrefix(r.Token, "down-") {
				return wolkvoxtest.Fault{Kind: wolkvoxtest.Status503}
			}
			return wolkvoxtest.Fault{}
		},
	}
}

type world struct {
	*consoletest.Stage
	t *testing.T
}

func open(t *testing.T, o consoletest.Options) world {
	t.Helper()
	s, err := consoletest.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("the end of the stage: %v", err)
		}
	})
	return world{s, t}
}

// enqueue enqueues n calls of a token, with the refs "ref 0" and so on.
func (w world) enqueue(batch, token string, n int) {
	w.t.Helper()
	_, err := w.Producer.EnqueueBatch(w.t.Context(), batch, func(yield func(tasks.Call, error) bool) {
		for i := range n {
			if !yield(tasks.Call{Server: "0001", Token: tasks.Token(token), Ref: fmt.Sprint("ref ", i)}, nil) {
				return
			}
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) settled(batch string) operator.Status {
	w.t.Helper()
	s, err := w.Operator.WaitSettled(w.t.Context(), batch, 10*time.Millisecond, patience, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w world) held() operator.Chain {
	w.t.Helper()
	for c, err := range w.Operator.Chains(w.t.Context(), true) {
		if err != nil {
			w.t.Fatal(err)
		}
		return c
	}
	w.t.Fatal("no chain is held")
	return operator.Chain{}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// ask asks for a page; header are names and values. It follows no redirect.
func (w world) ask(method, path string, form url.Values, header ...string) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func (w world) get(path string, header ...string) answer {
	w.t.Helper()
	return w.ask(http.MethodGet, path, nil, header...)
}

func (a answer) has(t *testing.T, status int, texts ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("no %q in %s", text, a.body)
		}
	}
}

func (a answer) hasNot(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("%q is in %s", text, a.body)
		}
	}
}

// toldOnce follows the redirect of a decision as a browser does: the notice is on the page
// that it leads to, and on no page after that.
func (w world) toldOnce(a answer, text string) {
	w.t.Helper()
	cookie := strings.SplitN(a.header.Get("Set-Cookie"), ";", 2)[0]
	page := w.get(a.header.Get("Location"), "Cookie", cookie)
	page.has(w.t, http.StatusOK, text)
	if gone := page.header.Get("Set-Cookie"); !strings.Contains(gone, "Max-Age=0") {
		w.t.Errorf("the notice stays: %q", gone)
	}
	w.get(a.header.Get("Location")).hasNot(w.t, text)
	live := w.get(a.header.Get("Location")+"?live=1", "Cookie", cookie)
	live.hasNot(w.t, text)
	if live.header.Get("Set-Cookie") != "" {
		w.t.Error("a page that fetches itself takes the notice away")
	}
}

func required() bool { return os.Getenv("HABILITA_REQUIRE_CHROMIUM") == "1" }

// entry is one of the action log.
func entry(who string) actionlog.Entry {
	return actionlog.Entry{Who: who, Via: actionlog.CLI, Action: "retry", Target: "batch " + who, Result: "failed after 0 chains: " + who}
}
