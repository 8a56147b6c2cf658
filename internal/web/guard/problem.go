package guard

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
)

// ProblemType is the content type of problem details.
const ProblemType = "application/problem+json"

// ProblemTypeBase begins the type of every problem that has one of its own. It is not an
// address that can be opened: docs/http-api.md lists the types.
const ProblemTypeBase = "urn:habilita:problem:"

// Problem is what went wrong with a request. It never holds a token or a key.
type Problem struct {
	// Type is a URI that tells problems apart; "" is about:blank, which says no more
	// than the status does.
	Type string `json:"type"`
	// Title says the same in words, and is always the same for a type; "" is the status's
	// own text.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Detail says what is wrong with this request, and what to do next.
	Detail string `json:"detail,omitempty"`
	// Instance is the path that was asked for; WriteProblem sets it if it is empty.
	Instance string `json:"instance,omitempty"`
	// Errors are the rows or fields that are wrong, if there are any.
	Errors []ProblemField `json:"errors,omitempty"`
}

// ProblemField is one field that is wrong.
type ProblemField struct {
	// Line is the line of the body, from 1; 0 if the body has no lines.
	Line int `json:"line,omitempty"`
	// Field is its name; "" if the line or body as a whole is wrong.
	Field string `json:"field"`
	// Problem says what is wrong, and never what the field holds.
	Problem string `json:"problem"`
}

// WriteProblem answers with the problem: in problem details, or in a line of text for a browser.
// Set headers such as Retry-After before.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	p.Type, p.Title = cmp.Or(p.Type, "about:blank"), cmp.Or(p.Title, http.StatusText(p.Status))
	p.Instance = cmp.Or(p.Instance, r.URL.EscapedPath())
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if WantsHTML(r) {
		text := p.Title
		if p.Detail != "" {
			text += ": " + p.Detail
		}
		http.Error(w, text, p.Status)
		return
	}
	h.Del("Content-Length")
	h.Set("Content-Type", ProblemType)
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(p) // the caller has gone, or reads it
	}
}

// WantsHTML reports whether a browser asks for a page, rather than a program for data.
func WantsHTML(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
