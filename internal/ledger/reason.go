package ledger

// The codes of what went wrong at a call's last attempt (Outcome.Reason), beside the kinds of
// the vendor's refusals. The ledger itself writes ReasonUnknown, where a worker was lost.
const (
	ReasonUnknown    = "unknown"    // no complete answer: the vendor may have done it
	ReasonUnreadable = "unreadable" // an answer that says nothing we know
	ReasonNotSent    = "not_sent"   // the vendor can't be reached, or nothing was to be sent
	ReasonUnopenable = "unopenable" // the sealed token can't be opened: mostly its key is gone
)
