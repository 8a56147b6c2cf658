package quota

import (
	"fmt"
	"strconv"
	"time"
)

// reply is what a script answered: texts and whole numbers. The first fault is
// kept, so that a caller looks once, after it has read all.
type reply struct {
	items []any
	err   error
}

func newReply(items []any, want int) *reply {
	r := &reply{items: items}
	if len(items) < want {
		r.items, r.err = make([]any, want), fmt.Errorf("quota: a script answered %d items, want %d", len(items), want)
	}
	return r
}

func (r *reply) text(i int) string {
	switch v := r.items[i].(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	r.fault(i, nil)
	return ""
}

func (r *reply) number(i int) int64 {
	switch v := r.items[i].(type) {
	case int64:
		return v
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			r.fault(i, err)
		}
		return n
	}
	r.fault(i, nil)
	return 0
}

func (r *reply) int(i int) int { return int(r.number(i)) }

// time is zero where the item is 0.
func (r *reply) time(i int) time.Time {
	if ms := r.number(i); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (r *reply) fault(i int, err error) {
	if r.err != nil {
		return
	}
	if err != nil {
		r.err = fmt.Errorf("quota: item %d of a script's answer: %w", i, err)
		return
	}
	r.err = fmt.Errorf("quota: item %d of a script's answer is a %T", i, r.items[i])
}
