package quota

import (
	"errors"
	"fmt"
	"time"
)

// Expected refusals, for errors.Is.
var (
	// ErrName refuses a name of a token: 3 to 128 letters, digits, "_" and "-".
	ErrName = errors.New("quota: a token's name must be 3 to 128 letters, digits, _ or - (an HMAC of the token in hex or base32, never the token)")
	// ErrLicenses refuses a number of licences below 1.
	ErrLicenses = errors.New("quota: licences must be at least 1")
	// ErrGrant refuses a Grant that Try or Acquire did not make.
	ErrGrant = errors.New("quota: not a grant: it has no nonce or no days")
	// ErrCooling refuses a cooling with no end, or with a negative time to its probe.
	ErrCooling = errors.New("quota: a cooling needs an end after 1970 and no negative time to its probe")
)

// PeekError says that PeekMany could not read some tokens, and the others were read: one node of a
// Redis Cluster is away, most often.
type PeekError struct {
	Tokens []string // names of those that could not be read
	Cause  error    // of the first of them
}

// Error says how many are missing, and why.
func (e *PeekError) Error() string {
	return fmt.Sprintf("quota: %d tokens can't be read: %v", len(e.Tokens), e.Cause)
}

// Unwrap is the cause.
func (e *PeekError) Unwrap() error { return e.Cause }

// NotNowError is what Acquire answers for a refusal that is not about slots:
// quota, cooling, midnight, restart and clock last too long, or are too telling, to be
// waited for silently. No slot was taken, nothing was counted and no attempt was made.
type NotNowError struct {
	Decision Decision // why, and from when on it can be tried again
}

// Error says why and until when.
func (e *NotNowError) Error() string {
	d := e.Decision
	detail := ""
	if d.Detail != "" {
		detail = " (" + d.Detail + ")"
	}
	return fmt.Sprintf("quota: no request now: %s%s; try again at %s", d.Reason, detail, d.RetryAt.UTC().Format(time.RFC3339))
}
