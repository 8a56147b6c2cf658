package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"habilita/internal/access"
	"habilita/internal/actionlog"
	"habilita/internal/operator"
)

// decision is one of retry, skip, cancel and reopen.
type decision struct {
	name, unit string
	act        func(*operator.Operator, context.Context, operator.Selection) (int, error)
}

var (
	retry  = decision{"retry", "chain", (*operator.Operator).Retry}
	skip   = decision{"skip", "chain", (*operator.Operator).Skip}
	cancel = decision{"cancel", "call", (*operator.Operator).Cancel}
	reopen = decision{"reopen", "call", (*operator.Operator).Reopen}
)

func ofBatch(r *http.Request) operator.Selection {
	return operator.Selection{Batch: r.PathValue("batch")}
}

func ofChain(r *http.Request) operator.Selection {
	return operator.Selection{Chain: r.PathValue("chain")}
}

// decided is what a decision did.
type decided struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unit   string `json:"unit"` // what was counted: chain or call
}

func (a *API) decide(d decision, selected func(*http.Request) operator.Selection) func(http.ResponseWriter, *http.Request) error {
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
		if err != nil {
			result = fmt.Sprintf("failed after %s: %v", result, err)
		}
		if !unknown(err) {
			a.note(r, d.name, sel.String(), result)
		}
		if err != nil {
			return err
		}
		return answer(w, http.StatusOK, decided{d.name, n, d.unit})
	}
}

// unknown reports whether what was decided about is not there, so that nothing was.
func unknown(err error) bool {
	var (
		noBatch    *operator.UnknownBatchError
		noChain    *operator.UnknownChainError
		noSchedule *operator.UnknownScheduleError
	)
	return errors.As(err, &noBatch) || errors.As(err, &noChain) || errors.As(err, &noSchedule)
}

// note writes a decision into the action log, also where its caller has gone meanwhile.
// Where that fails the decision stands, and this worker's own log has it.
func (a *API) note(r *http.Request, what, target, result string) {
	e := actionlog.Entry{Who: access.From(r.Context()).Name, Via: actionlog.API, Action: what, Target: target, Result: result}
	_, err := a.Actions.Append(context.WithoutCancel(r.Context()), e)
	line := a.Log.Info()
	if err != nil {
		line = a.Log.Error().Err(err)
	}
	line.Str("who", e.Who).Str("action", e.Action).Str("target", e.Target).Str("result", e.Result).Msg("somebody decided over HTTP")
}
