package redisconn

import (
	"errors"
	"fmt"
	"testing"
)

// A cluster's node that is away may have thousands of batches, whose errors are joined one by one. Each is named once,
// and not looked at again for each of the others, which would take hours.
func TestUnreadOfThousands(t *testing.T) {
	const n = 20_000
	away := errors.New("away")
	var err error
	for i := range n {
		err = errors.Join(err, fmt.Errorf("counts: %w", Unreadable(Batches, fmt.Sprint("batch ", i), away)), Unreadable(Parts, fmt.Sprint(i%10), away))
	}
	all := Unread(err)
	if len(all) != 2 || len(all[0].Names) != n || len(all[1].Names) != 10 {
		t.Fatalf("%d kinds", len(all))
	}
	if all[0].What != Batches || all[0].Cause != away || all[0].Names[n-1] != fmt.Sprint("batch ", n-1) || all[1].What != Parts {
		t.Errorf("%s, %v", all[0].What, all[0].Cause)
	}
	if !Partly(err) || Partly(away) || !Partly(nil) || Unread(nil) != nil {
		t.Error("what was read in part")
	}
}
