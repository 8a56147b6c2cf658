package quota

import (
	"strconv"
	"time"
)

// reply is what a script answered: texts and whole numbers, as many as its form says.
type reply []any

func (r reply) text(i int) string {
	switch v := r[i].(type) {
	case string:
		return v
	case int64:
		return text(v)
	}
	return ""
}

func (r reply) number(i int) int64 {
	switch v := r[i].(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64) // the scripts write whole numbers
		return n
	}
	return 0
}

func (r reply) int(i int) int { return int(r.number(i)) }

// time is zero where the item is 0.
func (r reply) time(i int) time.Time {
	if ms := r.number(i); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}
