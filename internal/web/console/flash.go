package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// A notice of what a decision came to is told once, on the next page: it comes in a cookie
// that this page takes away, so that neither a reload nor a bookmark tells it again.
const (
	noticeCookie = "habilita_notice"
	noticeAge    = 60 // seconds, if no page takes it
)

// leaveNotice leaves a notice for the next page; its key is what was done.
func leaveNotice(w http.ResponseWriter, n notice) {
	said := url.QueryEscape(fmt.Sprint(n.Key, " ", n.N, n.Unlogged, n.Partly))
	http.SetCookie(w, &http.Cookie{Name: noticeCookie, Value: said, Path: "/", MaxAge: noticeAge, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// takeNotice returns the notice that was left, and takes it away; nil: there is none. A
// page that fetches itself again leaves it to the one that somebody opens.
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
