package webhook

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"habilita/internal/control"
	"habilita/internal/vault"
)

// Type is what an event tells.
type Type string

// The events. docs/webhooks.md says when each is sent, and openapi.yaml what it holds.
const (
	BatchSettled    Type = "batch.settled"
	BatchHeld       Type = "batch.held"
	BatchCanaryHeld Type = "batch.canary_held"
	ScheduleFailed  Type = "schedule.failed"
	ScheduleSkipped Type = "schedule.skipped"
	ServerDown      Type = "server.down"
	ServerUp        Type = "server.up"
	QuotaUsedUp     Type = "quota.used_up"
	// CallFinished is sent for calls that asked for it.
	CallFinished Type = "call.finished"
	// Test is sent if a person asks for it, whatever WEBHOOK_EVENTS says.
	Test Type = "test"
)

// Types are all events that WEBHOOK_EVENTS may name.
func Types() []Type {
	return []Type{BatchSettled, BatchHeld, BatchCanaryHeld, ScheduleFailed, ScheduleSkipped, ServerDown, ServerUp, QuotaUsedUp, CallFinished}
}

// ParseTypes reads names of events, comma separated; "" is all.
func ParseTypes(list string) (out []Type, err error) {
	if list == "" {
		return Types(), nil
	}
	for text := range strings.SplitSeq(list, ",") {
		t := Type(strings.TrimSpace(text))
		if !slices.Contains(Types(), t) {
			return nil, fmt.Errorf("want some of %s", strings.ReplaceAll(strings.Trim(fmt.Sprint(Types()), "[]"), " ", ", "))
		}
		out = append(out, t)
	}
	return out, nil
}

// Event is something to be told.
type Event struct {
	ID   string // the same for every delivery; receivers drop doubles by it
	Type Type
	At   time.Time // when it happened
	Data any
}

// eventID is the id of something that happens once. It is the same, whichever worker tells it.
func eventID(t Type, of ...any) string {
	text, _ := json.Marshal(of) // texts and numbers alone: it can't fail
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", t, text))
	return "evt_" + vault.Lower32.EncodeToString(sum[:])[:26]
}

// body is what is sent, in the form of the specification.
func (e Event) body() ([]byte, error) {
	return json.Marshal(struct {
		Type      Type         `json:"type"`
		Timestamp control.Time `json:"timestamp"`
		Data      any          `json:"data"`
	}{e.Type, control.Time{Time: e.At}, e.Data})
}

// NewTest makes an event that only shows that the way to the receivers works.
func NewTest(now time.Time) Event {
	return Event{ID: eventID(Test, now.UnixNano(), rand.Text()), Type: Test, At: now, Data: struct {
		Message string `json:"message"`
	}{"habilita can reach this receiver"}}
}
