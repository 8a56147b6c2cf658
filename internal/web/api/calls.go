package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/web/guard"
	"habilita/internal/web/hub"
)

// receipt is the answer to a call that was enqueued.
type receipt struct {
	ID        string `json:"id"`
	Batch     string `json:"batch"` // "" none
	TokenID   string `json:"token_id"`
	Chain     string `json:"chain"`
	Duplicate bool   `json:"duplicate"` // it was there already
	Call      string `json:"call"`      // where it can be seen
	// Due is when it joins its chain; null: at once.
	Due control.Time `json:"due_at"`
}

func (a *API) enqueueCall(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	c, err := decodeCall(r)
	if err == nil {
		err = c.Check() // before the key is used up for it
	}
	if err != nil {
		return err
	}
	tokenID := a.Producer.TokenID(c.Token)
	var record claimed // of the Idempotency-Key
	own := false       // its id is that of the Idempotency-Key's record, so the call is this key's
	if key != "" {
		record, err = a.keys.claim(r.Context(), guard.From(r.Context()).Name, key, fingerprint(c, tokenID))
		if err != nil {
			return err
		}
		if c.ID == "" {
			c.ID, own = record.id, true
		}
	}
	var got engine.Receipt
	err = a.Control.EnqueueCall(r.Context(), c.Server, func() (string, string, error) {
		got, err = a.Producer.Enqueue(r.Context(), c)
		return got.ID, got.Chain, err
	})
	if err != nil {
		if record.fresh && slices.ContainsFunc(meanings, func(means meaning) bool { _, refused := means(err); return refused }) {
			a.Redis.Del(r.Context(), record.name) // nothing was enqueued
		}
		return err
	}
	duplicate := got.Duplicate && !own
	switch {
	case key == "" || own:
	case record.answer != "":
		duplicate = record.answer == answerKnown
	case !duplicate:
		a.keys.keep(r.Context(), record, answerNew)
	case record.fresh:
		a.keys.keep(r.Context(), record, answerKnown)
	}
	q := url.Values{"token_id": {got.TokenID}, "batch": {got.Batch}}
	out := receipt{ID: got.ID, Batch: got.Batch, TokenID: got.TokenID, Chain: got.Chain, Duplicate: duplicate,
		Due: control.Time{Time: got.Due}, Call: "/v1/calls/" + url.PathEscape(got.ID) + "?" + q.Encode()}
	w.Header().Set("Location", out.Call)
	return answer(w, http.StatusAccepted, out, nil)
}

// showCall finds a call by its id. A producer may give the same id in several batches and
// for several tokens; batch and token_id then say which call is meant.
func (a *API) showCall(w http.ResponseWriter, r *http.Request, q url.Values) error {
	d, err := waitOf(q)
	if err != nil {
		return err
	}
	id := r.PathValue("call")
	if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &control.UnknownError{Kind: ledger.ErrNoCall} // no id has these
	}
	found, err := a.Control.Show(r.Context(), id)
	if err != nil {
		return err
	}
	var fit []control.BatchCall
	for _, c := range found {
		if q.Has("token_id") && c.TokenID != q.Get("token_id") {
			continue
		}
		name, err := a.Control.BatchName(r.Context(), c)
		if err != nil {
			return err
		}
		if !q.Has("batch") || name == q.Get("batch") {
			fit = append(fit, control.BatchCall{CallRecord: c, Batch: name})
		}
	}
	switch len(fit) {
	case 0:
		return refuse(notFound, "a call of this id is in another batch, or of another token: correct batch= (empty: of no batch) and token_id=, or leave them out")
	case 1:
		one := fit[0]
		if d > 0 && one.Open() {
			w = guard.Answer(w, r, a.Standstill)
			key := control.CallKey{ID: one.ID, Batch: one.Batch, TokenID: one.TokenID}
			topic := hub.Topic{Key: fmt.Sprintf("call %q", key), Read: func(ctx context.Context) (any, error) { return a.lookAtCall(ctx, key) }}
			one.CallRecord, err = wait(r.Context(), a.looks, d, topic, one.CallRecord)
		}
		return answer(w, http.StatusOK, one, err)
	}
	return refuse(conflict, "%d calls have this id, in several batches or for several tokens: say which with batch= (empty: of no batch) and token_id=", len(fit))
}
