package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/ledger"
)

// TypeRun is the type of the asynq tasks that carry a chain's dispatch. Their payload is
// {"v":1,"chain":...,"feed":...}: names and numbers, never a token.
const TypeRun = "habilita:run"

const (
	payloadVersion = 1
	// Attempts are counted by the ledger: asynq's own counter must never run out, since
	// it would archive a chain's task.
	maxRetry = 1_000_000
	// runLimit ends a run that went on in place for long, well before asynq's time-out
	// of the task would cancel it.
	runLimit    = 10 * time.Minute
	taskTimeout = 6 * time.Hour
)

type payload struct {
	Version  int    `json:"v"`
	Chain    string `json:"chain"`
	Dispatch string `json:"feed"`
}

// PoisonError says that a task can't be carried out by this version of the worker.
type PoisonError struct{ Problem string }

func (e *PoisonError) Error() string { return "task set aside: " + e.Problem }

func decodeTask(t *asynq.Task) (ledger.Dispatch, error) {
	var p payload
	if t.Type() != TypeRun {
		return ledger.Dispatch{}, &PoisonError{fmt.Sprintf("unknown type %q", t.Type())}
	}
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return ledger.Dispatch{}, &PoisonError{"the payload is no JSON object: " + err.Error()}
	}
	if p.Version != payloadVersion {
		return ledger.Dispatch{}, &PoisonError{fmt.Sprintf("payload version %d, this worker knows %d", p.Version, payloadVersion)}
	}
	token, _ := ledger.SplitChainID(p.Chain)
	if !ledger.IsToken(token) || p.Dispatch == "" {
		return ledger.Dispatch{}, &PoisonError{"the payload names no chain"}
	}
	return ledger.Dispatch{Chain: p.Chain, Number: p.Dispatch}, nil
}

// publisher hands dispatches to asynq.
type publisher struct {
	client *asynq.Client
	queues []string
	tracer tracer // of a producer; a worker's chains begin traces of their own
}

// publish enqueues the dispatch's task. A task of the same dispatch that is there already
// is success.
func (c publisher) publish(ctx context.Context, f ledger.Dispatch) error {
	body, err := json.Marshal(payload{Version: payloadVersion, Chain: f.Chain, Dispatch: f.Number})
	if err != nil {
		return err
	}
	_, err = c.client.EnqueueContext(ctx, asynq.NewTaskWithHeaders(TypeRun, body, c.tracer.headers(ctx)),
		asynq.Queue(queueOf(c.queues, f.Chain)), asynq.TaskID(f.TaskID()), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}
