package api

import (
	"context"
	"net/http"
	"net/url"

	"habilita/internal/control"
	"habilita/internal/web/guard"
)

// decided is what a decision did.
type decided struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unit   string `json:"unit"` // what was counted: chain or call
	// Unread is how many parts of the ledger could not be read, and so not decided about; absent: none.
	Unread int `json:"unread,omitempty"`
}

// decide makes the handler of a decision about the batch or chain that the path names.
func decide(name, unit string, act func(context.Context, control.Selection) (int, error)) handler {
	return func(w http.ResponseWriter, r *http.Request, _ url.Values) error {
		n, err := act(r.Context(), control.Selection{Batch: r.PathValue("batch"), Chain: r.PathValue("chain")})
		unread, err := control.SplitUnread(err)
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, decided{name, n, unit, unread})
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
