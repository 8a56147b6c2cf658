package control

import (
	"strings"
	"testing"

	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// A wrong server is put right in the file, as a wrong token is.
func TestNextStepOfAWrongServer(t *testing.T) {
	for name, c := range map[string]struct {
		batch ledger.Batch
		want  string
	}{
		"of a file":      {ledger.Batch{Name: "ops", Path: "/data/ops.csv"}, "correct the server in the file and give it again: enqueue bulk /data/ops.csv --prune"},
		"with canaries":  {ledger.Batch{Name: "ops", Path: "/data/ops.csv", Canary: 2}, "enqueue bulk /data/ops.csv --canary 2 --prune"},
		"once released":  {ledger.Batch{Name: "ops", Path: "/data/ops.csv", Canary: 2, Released: true}, "enqueue bulk /data/ops.csv --prune"},
		"of another way": {ledger.Batch{Name: "ops"}, "enqueue bulk FILE --batch ops --prune"},
		"of no batch":    {ledger.Batch{}, "give the call again with the right server, after: enqueue cancel --chain a"},
	} {
		var head CallRecord
		head.State, head.Reason = ledger.StateFailed, string(wolkvox.NotFound)
		got := NextStep(head, "a", c.batch)
		if !strings.Contains(got, c.want) || !strings.Contains(got, "enqueue retry --chain a") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
