package engine

import (
	"testing"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// Chains that wait for tomorrow's quota go on once the workers are started with a higher DEFAULT_LICENSES; with the same
// value they stay as they are.
func TestRaisedDefaultLicensesRecall(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		key := testKey(t)
		open := func(licenses int) *world {
			return openWorld(t, b.URL, key, func(o *WorkerOptions) { o.Quota.DefaultLicenses = licenses })
		}
		no := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		w := open(1)
		no(w.reconciler.recallQuota(t.Context()))
		var ids []string
		for _, token := range []string{"one", "other"} {
			id := w.append(token, "a")
			ids = append(ids, id)
			day := w.stack.clock.Now().In(w.stack.settings.Location).Format("20060102")
			no(b.Client.Set(t.Context(), "habilita:{"+ledger.Tag(id)+"}:used:"+id+":"+day, 1000, 0).Err())
			s, err := w.stack.ledger.Begin(t.Context(), w.dispatch(id), newID(), "")
			if err != nil || s.Reason != "quota" {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		for _, c := range []struct {
			licenses int
			then     string
		}{{1, "waiting quota"}, {1, "waiting quota"}, {2, "ready"}} {
			no(w.Close())
			w = open(c.licenses)
			no(w.reconciler.recallQuota(t.Context()))
			for _, id := range ids {
				_, err := w.stack.ledger.DispatchAll(t.Context(), []string{ledger.Tag(id)}, 0)
				no(err)
				if got := w.stateOf(id); got != c.then {
					t.Fatalf("with %d licences the chain is %q, not %q", c.licenses, got, c.then)
				}
			}
		}
		for _, id := range ids {
			if s, err := w.stack.ledger.Begin(t.Context(), w.dispatch(id), newID(), ""); err != nil || s.Status != ledger.Running {
				t.Errorf("%+v, %v", s, err)
			}
		}
		no(w.Close())
	})
}
