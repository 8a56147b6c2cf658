package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A notice of what a decision came to is told once, on the next page: it comes in a cookie
// that this page takes away, so that neither a reload nor a bookmark tells it again.
const (
	noticeCookie = "habilita_notice"
	noticeAge    = 60 // seconds, if no page takes it
)

// leaveNotice leaves a notice for the next page; its key is what was done.
func leaveNotice(w http.ResponseWriter, n notice) {
	value := n.Key + "." + strconv.Itoa(n.N)
	if n.Unlogged {
		value += ".unlogged"
	}
	if n.Partly {
		value += ".partly"
	}
	http.SetCookie(w, &http.Cookie{Name: noticeCookie, Value: value, Path: "/", MaxAge: noticeAge, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// takeNotice returns the notice that was left, and takes it away; nil: there is none. A
// page that fetches itself again leaves it to the one that somebody opens.
func takeNotice(w http.ResponseWriter, r *http.Request) *notice {
	c, err := r.Cookie(noticeCookie)
	if err != nil || r.URL.Query().Get("live") != "" {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: noticeCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	said := strings.Split(c.Value, ".")
	if len(said) < 2 {
		return nil
	}
	n, err := strconv.Atoi(said[1])
	if err != nil || n < 0 {
		return nil
	}
	switch said[0] {
	case "retry", "skip", "cancel", "lift":
		return &notice{Key: "done." + said[0], N: n,
			Unlogged: slices.Contains(said, "unlogged"), Partly: slices.Contains(said, "partly")}
	}
	return nil
}
