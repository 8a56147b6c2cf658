package api

import (
	"encoding/json"
	"net/http"

	"habilita/internal/control"
)

// page is a part of a list, as answers have it.
type page[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // cursor of the page after this one; null: this is the last one
	// Unread is how many of the 1,024 parts of the ledger could not be read; absent: none.
	Unread int `json:"unread,omitempty"`
}

func paged[T any](p control.Page[T]) page[T] {
	out := page[T]{Items: p.Items, Unread: p.Unread}
	if out.Items == nil {
		out.Items = []T{}
	}
	if p.Next != "" {
		out.Next = &p.Next
	}
	return out
}

func answer(w http.ResponseWriter, status int, v any) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the caller has gone, or reads it
	return nil
}
