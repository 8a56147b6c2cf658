package config

import "fmt"

// together checks what settings say of each other. A pair of which one is wrong already,
// or one was not loaded, is left out.
func (l *loader) together() {
	s := l.s
	if l.sound(Calls, "RETRY_MIN", "RETRY_MAX") && s.RetryMin > s.RetryMax {
		l.faults = append(l.faults, Fault{Variable: "RETRY_MIN", Value: quoted(short(s.RetryMin)),
			Want: fmt.Sprintf("want at most RETRY_MAX, which is %s", short(s.RetryMax))})
	}
	if l.sound(Limits, "CALL_TIMEOUT", "VENDOR_TIMEOUT", "SLOT_MARGIN") && s.Lease() > maxLease {
		l.faults = append(l.faults, Fault{Variable: "SLOT_MARGIN", Value: quoted(short(s.SlotMargin)),
			Want: fmt.Sprintf("makes a slot's lease %s; want max(CALL_TIMEOUT, VENDOR_TIMEOUT) + SLOT_MARGIN of at most %s",
				short(s.Lease()), short(maxLease))})
	}
	if l.sound(Webhooks, "WEBHOOK_URL", "WEBHOOK_SECRETS") && s.WebhookURLs != "" && s.WebhookSecrets == "" {
		l.faults = append(l.faults, Fault{Variable: "WEBHOOK_SECRETS",
			Want: "is not set and is required with WEBHOOK_URL; make one with: enqueue keygen --webhook"})
	}
	if l.sound(Calls|Limits, "SHUTDOWN_TIMEOUT", "CALL_TIMEOUT") && s.ShutdownTimeout < s.CallTimeout {
		l.faults = append(l.faults, Fault{Variable: "SHUTDOWN_TIMEOUT", Value: quoted(short(s.ShutdownTimeout)),
			Want: fmt.Sprintf("want at least CALL_TIMEOUT, which is %s: requests in flight would be cut, and made twice",
				short(s.CallTimeout))})
	}
}

// sound reports whether all the groups were loaded and none of the variables has a fault.
func (l *loader) sound(groups Group, variables ...string) bool {
	if l.groups&groups != groups {
		return false
	}
	for _, v := range variables {
		if l.bad[v] {
			return false
		}
	}
	return true
}

func quoted(v string) string { return `"` + v + `"` }
