package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/web/guard"
)

// page is what a template is given.
type page struct {
	Lang   string
	Name   string   // of the page
	Title  string   // in words
	Over   overview // if it shows what was asked for
	Now    time.Time
	Who    guard.Principal
	Nav    []navItem
	Live   string // where changes are told; "" nowhere
	Reload int    // seconds after which a browser without JavaScript loads it again; 0 never
	Always bool   // with JavaScript too
	Notice *notice
	Pager  pager
	Unread int // parts of the ledger that could not be read
	Data   any
}

// navItem is an entry of the navigation.
type navItem struct {
	Name, Path string
	Current    bool
}

// notice says what a decision did.
type notice struct {
	Key      string
	N        int
	Unlogged bool
	Partly   bool // a part of the ledger could not be read, and was not acted on
}

// reloadAfter is when browsers without JavaScript load a page again, in seconds.
const reloadAfter = 10

func (c *Console) newPage(r *http.Request, name string) *page {
	p := &page{Lang: pick(r.Header.Get("Accept-Language")), Name: name, Now: c.o.Now(), Who: guard.From(r.Context())}
	p.Title = c.sites[p.Lang].sayOr("title."+name, "")
	for _, v := range c.views {
		if v.path != "" {
			p.Nav = append(p.Nav, navItem{Name: v.name, Path: v.path, Current: v.name == name || v.name == "batches" && name == "batch"})
		}
	}
	return p
}

// show sends a page with its overview.
func (c *Console) show(w http.ResponseWriter, r *http.Request, status int, p *page) {
	if status == http.StatusOK {
		var err error
		if p.Over, err = read[overview](r.Context(), c, c.overviewTopic()); err != nil {
			c.failRead(w, r, err)
			return
		}
		p.Unread = max(p.Unread, p.Over.Unread)
		p.Notice = takeNotice(w, r)
	}
	body, err := c.sites[p.Lang].render(p.Name, p)
	if err != nil {
		c.o.Log.Error().Err(err).Msg("a page could not be made")
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", p.Lang)
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked may have gone
}

// readActions reads the log of what people did.
func (c *Console) readActions(ctx context.Context, q url.Values) (listing, error) {
	found, err := c.o.Control.AuditLog().Before(ctx, q.Get("cursor"), perPage)
	return listing{Data: found.Items, Next: found.Next}, err
}

// A notice of what a decision did is shown once, on the next page. It comes in a cookie that
// this page removes, so that neither a reload nor a bookmark shows it again.
const (
	noticeCookie = "habilita_notice"
	noticeAge    = 60 // seconds, if no page takes it
)

// leaveNotice leaves a notice for the next page; its key is what was done.
func leaveNotice(w http.ResponseWriter, n notice) {
	said := url.QueryEscape(fmt.Sprint(n.Key, " ", n.N, n.Unlogged, n.Partly))
	http.SetCookie(w, &http.Cookie{Name: noticeCookie, Value: said, Path: "/", MaxAge: noticeAge, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// takeNotice returns the notice that was left, and removes it; nil: there is none. A page
// that fetches itself again leaves the notice for a page that somebody opens.
func takeNotice(w http.ResponseWriter, r *http.Request) *notice {
	c, err := r.Cookie(noticeCookie)
	if err != nil || r.URL.Query().Get("live") != "" {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: noticeCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	var n notice
	said, _ := url.QueryUnescape(c.Value)
	_, err = fmt.Sscan(said, &n.Key, &n.N, &n.Unlogged, &n.Partly)
	if err != nil || n.N < 0 || !slices.Contains([]string{"retry", "skip", "cancel", "lift"}, n.Key) {
		return nil
	}
	n.Key = "done." + n.Key
	return &n
}

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

// failRead answers a request whose reading failed.
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
