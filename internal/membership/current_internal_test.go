package membership

import (
	"testing"
	"time"
	"unsafe"
)

// A machine that was suspended comes back with a membership that has lapsed: others may have agreed on other
// settings meanwhile. Its monotonic clock stood still.
func TestSuspendedMachineIsNotCurrent(t *testing.T) {
	m, now := new(Membership), time.Now()
	until := now.Add(TTL)
	m.believed.Store(&until)
	if !m.currentAt(now) {
		t.Error("not current at once")
	}
	resumed := now
	(*struct{ wall uint64 })(unsafe.Pointer(&resumed)).wall += uint64(TTL/time.Second) << 30 // its seconds
	if resumed.Sub(now) != 0 || resumed.Round(0).Sub(now.Round(0)) != TTL {
		t.Skip("package time has another form of Time")
	}
	if m.currentAt(resumed) {
		t.Error("current after the membership lapsed")
	}
}
