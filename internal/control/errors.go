package control

import (
	"errors"
	"fmt"

	"habilita/internal/ledger"
)

// UnknownBatchError says that there is no batch of that name: it never was, or it
// ended and its retention is over. errors.Is ledger.ErrNoBatch.
type UnknownBatchError struct{ Name string }

// Error names the batch and says what to type next.
func (e *UnknownBatchError) Error() string {
	return fmt.Sprintf("there is no batch %q: `enqueue batches` lists those there are", e.Name)
}

// Is makes errors.Is(err, ledger.ErrNoBatch) true.
func (e *UnknownBatchError) Is(target error) bool { return target == ledger.ErrNoBatch }

// UnknownCallError says that no call has that id. errors.Is ledger.ErrNoCall.
type UnknownCallError struct{ ID string }

// Error names the id and says where ids are found.
func (e *UnknownCallError) Error() string {
	return fmt.Sprintf("there is no call %q: `enqueue report BATCH` has the ids of a batch's calls", e.ID)
}

// Is makes errors.Is(err, ledger.ErrNoCall) true.
func (e *UnknownCallError) Is(target error) bool { return target == ledger.ErrNoCall }

// UnknownChainError says that a chain that was named can't be acted on: it is not held,
// or it has nothing to do.
type UnknownChainError struct {
	ID   string
	Held bool // whether a held one was wanted
}

// Error names the chain and says what to type next.
func (e *UnknownChainError) Error() string {
	if e.Held {
		return fmt.Sprintf("chain %q is not held: `enqueue chains --held` lists those that wait for a person", e.ID)
	}
	return fmt.Sprintf("chain %q has no call that waits: `enqueue chains` lists those that have", e.ID)
}

// SelectionError says that a Selection selects nothing, or in more than one way.
type SelectionError struct{ Problem string }

// Error says what is wrong and what is wanted.
func (e *SelectionError) Error() string {
	return e.Problem + ": give exactly one of --chain, --batch, --server and --all"
}

// ErrChainID says that a text can not be the id of a chain.
var ErrChainID = errors.New("not a chain's id: it is the token_id of `enqueue report`, with :NAME behind it where the chain has one")
