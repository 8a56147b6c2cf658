package console

import (
	"net/http"
	"strconv"
	"strings"
)

// A notice of what a decision came to is told once, on the next page: it comes in a cookie
// that this page takes away, so that neither a reload nor a bookmark tells it again.
const (
	noticeCookie = "habilita_notice"
	noticeAge    = 60 // seconds, if no page takes it
)

// leaveNotice leaves a notice for the next page.
func leaveNotice(w http.ResponseWriter, do string, n int, unlogged bool) {
	value := do + "." + strconv.Itoa(n)
	if unlogged {
		value += ".unlogged"
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
	do, rest, _ := strings.Cut(c.Value, ".")
	count, unlogged, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil
	}
	switch do {
	case "retry", "skip", "cancel", "lift":
		return &notice{Key: "done." + do, N: n, Unlogged: unlogged != ""}
	}
	return nil
}
