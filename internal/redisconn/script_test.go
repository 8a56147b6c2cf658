package redisconn

import "testing"

func TestReply(t *testing.T) {
	r := Reply{"12", int64(7), "0", "3.9", nil}
	if r.Int(0) != 12 || r.Str(1) != "7" || r.Int(1) != 7 || r.Int(3) != 3 || r.Time(0).UnixMilli() != 12 || !r.Time(2).IsZero() {
		t.Error(r)
	}
	if r.Str(4) != "" || r.Int(4) != 0 || r.Str(5) != "" || r.Int(5) != 0 {
		t.Error("what is not there was read")
	}
}
