package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/chain"
)

// TypeRun is the type of the asynq tasks that carry a chain's feeding. Their payload is
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
	Version int    `json:"v"`
	Chain   string `json:"chain"`
	Feed    string `json:"feed"`
}

// PoisonError says that a task can't be carried out by this version of the worker.
type PoisonError struct{ Problem string }

func (e *PoisonError) Error() string { return "task set aside: " + e.Problem }

func decodeTask(t *asynq.Task) (chain.Feed, error) {
	var p payload
	if t.Type() != TypeRun {
		return chain.Feed{}, &PoisonError{fmt.Sprintf("unknown type %q", t.Type())}
	}
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return chain.Feed{}, &PoisonError{"the payload is no JSON object: " + err.Error()}
	}
	if p.Version != payloadVersion {
		return chain.Feed{}, &PoisonError{fmt.Sprintf("payload version %d, this worker knows %d", p.Version, payloadVersion)}
	}
	token, _ := chain.SplitID(p.Chain)
	if !chain.IsToken(token) || p.Feed == "" {
		return chain.Feed{}, &PoisonError{"the payload names no chain"}
	}
	return chain.Feed{Chain: p.Chain, Number: p.Feed}, nil
}

// carrier hands feedings to asynq.
type carrier struct {
	client *asynq.Client
	queue  string
	tracer tracer // of a producer; a worker's chains begin traces of their own
}

// carry enqueues the feeding's task. A task of the same feeding that is there already
// is success.
func (c carrier) carry(ctx context.Context, f chain.Feed) error {
	body, err := json.Marshal(payload{Version: payloadVersion, Chain: f.Chain, Feed: f.Number})
	if err != nil {
		return err
	}
	_, err = c.client.EnqueueContext(ctx, asynq.NewTaskWithHeaders(TypeRun, body, c.tracer.headers(ctx)),
		asynq.Queue(c.queue), asynq.TaskID(f.TaskID()), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}
