package console

import (
	"net/http"
	"net/url"
	"time"

	"habilita/internal/control"
	"habilita/internal/web/guard"
)

// page is what a template is given.
type page struct {
	Lang   string
	Name   string // of the page
	Title  string // in words
	Held   int    // chains that wait for a person
	Now    time.Time
	Who    guard.Principal
	Nav    []navItem
	Live   string // where changes are told; "" nowhere
	Reload int    // seconds after which a browser without JavaScript loads it again; 0 never
	Always bool   // with JavaScript too
	Notice *notice
	Unread int // parts of the ledger that could not be read
	Data   any
}

// navItem is an entry of the navigation.
type navItem struct {
	Name, Path string
	Current    bool
	Badge      int
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
	for _, n := range []struct {
		name, path string
		there      bool
	}{
		{"batches", "/", true}, {"chains", "/chains", true}, {"tokens", "/tokens", true},
		{"servers", "/servers", c.o.Servers != nil}, {"workers", "/workers", true},
		{"schedules", "/schedules", c.o.Schedules != nil}, {"actions", "/actions", true},
	} {
		if n.there {
			p.Nav = append(p.Nav, navItem{Name: n.name, Path: n.path, Current: n.name == name || n.name == "batches" && name == "batch"})
		}
	}
	return p
}

// show sends a page with its overview.
func (c *Console) show(w http.ResponseWriter, r *http.Request, status int, p *page) {
	if status == http.StatusOK {
		over, err := c.read(r.Context(), c.overviewTopic())
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		for i := range p.Nav {
			if p.Nav[i].Name == "chains" {
				p.Nav[i].Badge = over.(overview).Held
			}
		}
		p.Held, p.Unread = over.(overview).Held, max(p.Unread, over.(overview).Unread)
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

// actionsPage shows the log of what people did.
func (c *Console) actionsPage(w http.ResponseWriter, r *http.Request) {
	before := r.URL.Query().Get("before")
	entries, err := c.o.Operator.AuditLog().Before(r.Context(), before, perPage)
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	d := struct {
		Entries       []control.AuditEntry
		Newest, Older string
	}{Entries: entries.Items}
	if before != "" {
		d.Newest = "/actions"
	}
	if entries.Next != "" {
		d.Older = "/actions?before=" + url.QueryEscape(entries.Next)
	}
	p := c.newPage(r, "actions")
	p.Live, p.Data = eventsURL("actions"), d
	c.show(w, r, http.StatusOK, p)
}
