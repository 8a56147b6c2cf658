// Package nudge wakes a goroutine that waits for a channel with room for one notification.
package nudge

// Send sends to the channel if it has room. If it has none, a notification is there already.
func Send(told chan<- struct{}) {
	select {
	case told <- struct{}{}:
	default:
	}
}
