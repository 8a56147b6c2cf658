package quota

import "time"

// NextDay is when a token that can do nothing more today gets grants again: the end
// of the vendor's day around serverNow, and the guard after it.
func (s Settings) NextDay(serverNow time.Time) time.Time {
	return time.UnixMilli(s.window(serverNow).starts[2]).Add(s.Guard)
}
