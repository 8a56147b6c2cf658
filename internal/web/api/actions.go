package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

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
		result := strconv.Itoa(n) + " " + d.unit
		if n != 1 {
			result += "s"
		}
		unread := control.Unread(err)
		if unread > 0 {
			result += control.UnreadNote(err)
			err = nil
		}
		if err != nil {
			result = fmt.Sprintf("failed after %s: %v", result, err)
		}
		if !unknown(err) {
			a.note(r, d.name, sel.String(), result)
		}
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, decided{d.name, n, d.unit, unread})
	}
}

// unknown reports whether what was decided about is not there, so that nothing was.
func unknown(err error) bool {
	var (
		noBatch    *control.UnknownBatchError
		noChain    *control.UnknownChainError
		noSchedule *control.UnknownScheduleError
	)
	return errors.As(err, &noBatch) || errors.As(err, &noChain) || errors.As(err, &noSchedule)
}

// note writes a decision into the audit log, also where its caller has gone meanwhile.
// Where that fails the decision stands, and this worker's own log has it.
func (a *API) note(r *http.Request, what, target, result string) {
	e := control.AuditEntry{Who: guard.From(r.Context()).Name, Via: control.ByAPI, Action: what, Target: target, Result: result}
	_, err := a.Actions.Append(context.WithoutCancel(r.Context()), e)
	line := a.Log.Info()
	if err != nil {
		line = a.Log.Error().Err(err)
	}
	line.Str("who", e.Who).Str("action", e.Action).Str("target", e.Target).Str("result", e.Result).Msg("somebody decided over HTTP")
}
