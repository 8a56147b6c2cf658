package console_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/web/console/consoletest"

	"habilita/internal/testkit/wolkvoxtest"
)

const patience = consoletest.Patience

func strict() wolkvoxtest.Options { return consoletest.Strict() }

type world struct {
	*consoletest.Stage
	t *testing.T
}

func open(t *testing.T, o consoletest.Options) world { return world{consoletest.Start(t, o), t} }

func (w world) enqueue(batch, token string, n int) { w.t.Helper(); w.Enqueue(w.t, batch, token, n) }

func (w world) settled(batch string) control.Status { w.t.Helper(); return w.Settled(w.t, batch) }

func (w world) held() control.Chain {
	w.t.Helper()
	for c, err := range w.Control.Chains(w.t.Context(), true) {
		if err != nil {
			w.t.Fatal(err)
		}
		return c
	}
	w.t.Fatal("no chain is held")
	return control.Chain{}
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
