package api

import (
	"context"
	"net/http"

	"habilita/internal/control"
	"habilita/internal/web/guard"
)

// decision is one of retry, skip, cancel and reopen.
type decision struct {
	name, unit string
	act        func(*control.Control, context.Context, control.Selection) (int, error)
}

var (
	retry  = decision{"retry", "chain", (*control.Control).Retry}
	skip   = decision{"skip", "chain", (*control.Control).Skip}
	cancel = decision{"cancel", "call", (*control.Control).Cancel}
	reopen = decision{"reopen", "call", (*control.Control).Reopen}
)

func ofBatch(r *http.Request) control.Selection {
	return control.Selection{Batch: r.PathValue("batch")}
}

func ofChain(r *http.Request) control.Selection {
	return control.Selection{Chain: r.PathValue("chain")}
}

// decided is what a decision did.
type decided struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unit   string `json:"unit"` // what was counted: chain or call
	// Unread is how many parts of the ledger could not be read, and so not decided about; absent: none.
	Unread int `json:"unread,omitempty"`
}

func (a *API) decide(d decision, selected func(*http.Request) control.Selection) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := query(r); err != nil {
			return err
		}
		sel := selected(r)
		if err := sel.Check(); err != nil {
			return err
		}
		n, err := d.act(a.Operator, r.Context(), sel)
		unread := control.Unread(err)
		if unread > 0 {
			err = nil
		}
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, decided{d.name, n, d.unit, unread})
	}
}

// asKey returns a context in which the key of the request decides. This worker's own log has each
// decision too.
func (a *API) asKey(ctx context.Context) context.Context {
	return control.WithActor(ctx, control.Actor{Who: guard.From(ctx).Name, Via: control.ByAPI, Told: func(e control.AuditEntry, err error) {
		line := a.Log.Info()
		if err != nil {
			line = a.Log.Error().Err(err)
		}
		line.Str("who", e.Who).Str("action", e.Action).Str("target", e.Target).Str("result", e.Result).Msg("somebody decided over HTTP")
	}})
}
