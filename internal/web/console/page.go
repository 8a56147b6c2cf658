package console

import (
	"context"
	"net/http"
	"net/url"
	"time"

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

// notice says what a decision came to.
type notice struct {
	Key      string
	N        int
	Unlogged bool
	Partly   bool // a part of the ledger could not be read, and was not acted on
}

// reloadAfter is for browsers without JavaScript, in seconds.
const reloadAfter = 10

// lang is the language that a request asks for.
func lang(r *http.Request) string { return pick(r.Header.Get("Accept-Language")) }

func (c *Console) newPage(r *http.Request, name string) *page {
	p := &page{Lang: lang(r), Name: name, Now: c.o.Now(), Who: guard.From(r.Context())}
	site := c.sites[p.Lang]
	p.Title = site.sayOr("title."+name, "")
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
	found, err := c.o.Operator.AuditLog().Before(ctx, q.Get("cursor"), perPage)
	return listing{Data: found.Items, Next: found.Next}, err
}
