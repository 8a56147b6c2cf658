package tasks

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	limits "habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/wolkvox"
)

// Every error that a caller decides by has an exported form, found through wrapping, that keeps
// the text and the cause.
func TestErrorsHaveAnExportedForm(t *testing.T) {
	_, badServer := wolkvox.ParseServer("no server")
	as := func(want error) func(error) bool {
		return func(err error) bool {
			target := reflect.New(reflect.TypeOf(want))
			if !errors.As(err, target.Interface()) {
				return false
			}
			have, wanted := target.Elem().Elem(), reflect.ValueOf(want).Elem()
			for i := range wanted.NumField() {
				if wanted.Type().Field(i).IsExported() && !reflect.DeepEqual(have.Field(i).Interface(), wanted.Field(i).Interface()) {
					return false
				}
			}
			return true
		}
	}
	command := regexp.MustCompile("`[^`]*`")
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	for _, c := range []struct {
		cause error
		found func(error) bool
	}{
		{&engine.CallError{Index: 3, Field: "server", Problem: "no"}, as(&CallError{Index: 3, Field: "server", Problem: "no"})},
		{&engine.ConflictError{Batch: "b", ID: "i", Row: 4, Known: 2, State: "queued", Unsent: true, Differs: []string{"chain"}, Have: []string{""}, Want: []string{"x"}, Source: 7},
			as(&ConflictError{Batch: "b", ID: "i", Row: 4, Known: 2, State: StateQueued, Unsent: true, Differ: []Difference{{"chain", "", "x"}}, Source: 7})},
		{&engine.WithheldError{Row: 4, Source: 7}, as(&WithheldError{Row: 4, Source: 7})},
		{&engine.StrictError{Rejected: 1, Conflicts: 2}, as(&StrictError{Rejected: 1, Conflicts: 2})},
		{&engine.CanaryError{Batch: "b", Canaries: engine.Canaries{Tokens: 1, Calls: 2, Failed: 2}}, as(&CanaryError{Batch: "b", Canaries: Canaries{Tokens: 1, Calls: 2, Failed: 2}})},
		{&ledger.BatchError{Batch: "b", Problem: ledger.BatchCancelled}, as(&BatchError{Batch: "b", Problem: BatchCancelled})},
		{&ledger.BatchError{Batch: "b", Problem: ledger.BatchPolicy}, as(&BatchError{Batch: "b", Problem: BatchPolicy})},
		{&ledger.BatchError{Batch: "b", Problem: ledger.BatchCanary}, as(&BatchError{Batch: "b", Problem: BatchCanary})},
		{&ledger.BatchError{Batch: "b", Problem: ledger.BatchBusy}, as(&BatchError{Batch: "b", Problem: BatchBusy})},
		{&ledger.BatchError{Batch: "b", Problem: ledger.BatchGone}, as(&BatchError{Batch: "b", Problem: BatchGone})},
		{&ledger.BatchError{Batch: "b", Problem: ledger.BatchOld}, as(&BatchError{Batch: "b", Problem: BatchOld})},
		{&engine.PruneCountError{Missing: 30, Total: 90}, as(&PruneError{Problem: PruneCount, Missing: 30, Total: 90})},
		{engine.ErrRowsMissing, as(&PruneError{Problem: PruneLeftOut})},
		{engine.ErrOtherRun, as(&PruneError{Problem: PruneOtherRun})},
		{&control.UnknownError{Kind: ledger.ErrNoBatch, Name: "b"}, as(&UnknownError{Batch: "b"})},
		{&control.UnknownError{Kind: ledger.ErrNoCall, Name: "i"}, as(&UnknownError{Call: "i"})},
		{&control.UnknownError{Kind: control.ErrNotHeld, Name: "c"}, as(&UnknownError{Chain: "c"})},
		{&control.SelectionError{Problem: "nothing is selected"}, as(&SelectionError{})},
		{badServer, as(&SelectionError{})},
		{control.ErrChainID, as(&SelectionError{})},
		{&membership.MismatchError{Differences: []membership.Difference{{Name: "TOKEN_SLOTS", Mine: "2", Theirs: "1"}}, With: []membership.Process{{Kind: "worker", Host: "h"}}},
			as(&MismatchError{Differences: []Difference{{"TOKEN_SLOTS", "1", "2"}}, With: []string{membership.Process{Kind: "worker", Host: "h"}.String()}})},
		{&redisconn.UnreadError{What: redisconn.Parts, Names: []string{"aa", "ab"}, Cause: errors.New("away")}, as(&PartialError{Unread: 2})},
		{redisconn.Unreadable(redisconn.Batches, "b", errors.New("away")), as(&PartialError{Unread: 1})},
		{ledger.ErrLost, is(ErrEnqueueAgain)},
		{ledger.ErrLate, is(ErrEnqueueAgain)},
		{&engine.KeyLostError{Key: "k", Prefix: "p"}, is(ErrTokenIDKey)},
		{ledger.ErrOtherKey, is(ErrTokenIDKey)},
		{redisconn.ErrNotCopied, is(ErrSentinel)},
		{oom("OOM command not allowed when used memory > 'maxmemory'."), is(ErrRedisFull)},
	} {
		for _, err := range []error{c.cause, fmt.Errorf("batch 7: %w", c.cause)} {
			got := public(err)
			if !c.found(got) || !c.found(fmt.Errorf("mine: %w", got)) {
				t.Errorf("%T becomes %T: %+v", c.cause, got, got)
			}
			if got.Error() != err.Error() || !errors.Is(got, c.cause) {
				t.Errorf("%T lost its text or its cause: %q", c.cause, got)
			}
			if said := command.ReplaceAllString(got.Error(), ""); strings.Contains(said, "--") {
				t.Errorf("a flag is none of a program's words: %s", said)
			}
			if again := public(got); again != got {
				t.Errorf("%T is made public twice", c.cause)
			}
		}
	}
	for _, err := range []error{nil, errors.New("else")} {
		if got := public(err); got != err {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

// oom is what Redis answers.
type oom string

func (e oom) Error() string { return string(e) }
func (oom) RedisError()     {}

// What the sequence says about a row's chain reaches the engine, and the text stays the same.
func TestSequenceSaysThatAChainIsUnknown(t *testing.T) {
	mine := fmt.Errorf("row 3: %w", ErrChainUnknown)
	got := ofSequence(mine)
	if !errors.Is(got, engine.ErrChainUnknown) || !errors.Is(got, mine) || got.Error() != mine.Error() {
		t.Errorf("%v", got)
	}
	if other := errors.New("else"); ofSequence(other) != other || ofSequence(nil) != nil {
		t.Error("another error is changed")
	}
}

// The constants are the engine's.
func TestConstantsAreThoseOfTheEngine(t *testing.T) {
	for _, pair := range [][2]any{
		{PolicyHold, ledger.PolicyHold}, {PolicySkip, ledger.PolicySkip}, {PolicyCancel, ledger.PolicyCancel},
		{StateQueued, ledger.StateQueued}, {StateWaiting, ledger.StateWaiting}, {StateRunning, ledger.StateRunning},
		{StateSucceeded, ledger.StateSucceeded}, {StateFailed, ledger.StateFailed}, {StateSkipped, ledger.StateSkipped},
		{StateCancelled, ledger.StateCancelled},
		{CanaryWaiting, control.CanaryWaiting}, {CanaryHeld, control.CanaryHeld}, {CanaryReleased, control.CanaryReleased},
		{rows.MaxLicenses, limits.MaxLicenses}, // a call's, and the limiter's
	} {
		if own, theirs := fmt.Sprint(pair[0]), fmt.Sprint(pair[1]); own != theirs {
			t.Errorf("%q, %q", own, theirs)
		}
	}
	for _, s := range []State{StateQueued, StateWaiting, StateRunning, StateSucceeded, StateFailed, StateSkipped, StateCancelled} {
		if s.Open() != ledger.State(s).Open() {
			t.Errorf("%s", s)
		}
	}
	reasons := map[string]bool{}
	for _, r := range []Reason{
		ReasonBadToken, ReasonMissingToken, ReasonTokenLimit, ReasonSimultaneousLimit, ReasonForbidden, ReasonTooMany, ReasonBadRequest,
		ReasonNotFound, ReasonMethodNotAllowed, ReasonServerError, ReasonUnknown, ReasonUnreadable, ReasonNotSent, ReasonUnopenable, ReasonOther,
	} {
		reasons[string(r)] = true
	}
	for _, cause := range control.Causes() {
		if !reasons[cause] {
			t.Errorf("there is no constant for the reason %q", cause)
		}
		delete(reasons, cause)
	}
	if len(reasons) > 0 {
		t.Errorf("constants for no reason: %v", reasons)
	}
}
