package control

import "context"

// Overview are all chains by what they do.
type Overview struct {
	Ready     int `json:"ready"`     // can run; wait for a worker
	Active    int `json:"active"`    // run, or wait for a time
	Held      int `json:"held"`      // wait for a person
	Scheduled int `json:"scheduled"` // calls, of no chain yet, that are due later
	Unread    int `json:"unread"`    // parts of the ledger, of ledger.Buckets, that could not be read and are not counted
}

// Overview counts all chains. It reads no chain itself: its cost is the same however
// many there are.
func (o *Control) Overview(ctx context.Context) (Overview, error) {
	buckets, err := o.buckets(ctx)
	if !partly(err) {
		return Overview{}, err
	}
	sum := Overview{Unread: Unread(err)}
	for _, b := range buckets {
		sum.Ready += b.Ready
		sum.Active += b.Due
		sum.Held += b.Held
		sum.Scheduled += b.Delayed
	}
	return sum, nil
}
