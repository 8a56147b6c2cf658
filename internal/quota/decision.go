package quota

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reason says why a request was not granted.
type Reason string

// The reasons, in the order in which they are looked at.
const (
	ReasonRestart  Reason = "restart"  // FreezeUntil
	ReasonClock    Reason = "clock"    // the server's clock jumped by days while we asked
	ReasonMidnight Reason = "midnight" // within Settings.Guard of midnight
	ReasonCooling  Reason = "cooling"  // Cool; Decision.Detail says why
	ReasonQuota    Reason = "quota"    // the day's requests are used
	ReasonSlots    Reason = "slots"    // all slots are taken
)

// Decision is the answer to Try.
type Decision struct {
	Granted bool
	Grant   Grant     // where granted
	Reason  Reason    // where not
	Detail  string    // of the reason; may be empty
	RetryAt time.Time // when to try again, by the server's clock, after Now; zero where granted
	Now     time.Time // the server's time of the decision
}

// Wait is how long to wait before the next try; 0 where granted.
func (d Decision) Wait() time.Duration {
	if d.Granted {
		return 0
	}
	return d.RetryAt.Sub(d.Now)
}

// Grant is the right to send one request. It ends with its lease, by the clock of
// Redis. Keep it as it is for Release and GiveBack; it holds no secret.
type Grant struct {
	Token string    // the token's name
	Nonce string    // of this attempt alone
	Ends  time.Time // of the lease, by the server's clock
	Days  string    // that it was counted on, YYYYMMDD, one or two with a comma
	Used  int       // requests of the day that is ending or going on, this one included
	Limit int       // that day's quota
	Probe bool      // a gentle try of a token that cools down
	// Others are the token's other slots that were held at the grant: requests that may be
	// on their way to the vendor.
	Others int
}

func (g Grant) check() error {
	if err := checkName(g.Token); err != nil {
		return err
	}
	if g.Nonce == "" || strings.Trim(g.Days, ",") == "" {
		return ErrGrant
	}
	return nil
}

// Expected refusals, for errors.Is.
var (
	// ErrName refuses a name of a token: 3 to 128 letters, digits, "_" and "-".
	ErrName = errors.New("quota: a token's name must be 3 to 128 letters, digits, _ or - (an HMAC of the token in hex or base32, never the token)")
	// ErrLicenses refuses a number of licences below 1.
	ErrLicenses = errors.New("quota: licences must be at least 1")
	// ErrGrant refuses a Grant that Try or Acquire did not make.
	ErrGrant = errors.New("quota: not a grant: it has no nonce or no days")
)

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
