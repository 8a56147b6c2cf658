package ledger

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// While a cluster moves a bucket's slot, no script runs at either node, however many of its keys have
// moved, so that nothing is written to the half that it finds.
func TestNoScriptRunsOnHalfABucket(t *testing.T) {
	t.Parallel()
	_, nodes := redistest.StartCluster(t, 2)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Addr}})
	defer c.Close()
	l := New(c, Options{Admission: Admission{Library: quota.Library()}})
	if err := l.Found(t.Context(), nobody); err != nil {
		t.Fatal(err)
	}
	one := func(key string) error {
		_, err := l.Append(t.Context(), Append{Batch: NoBatch, Policy: "hold", Calls: []NewCall{{Token: tok(1), Key: GivenKey(key), Server: "1", Sealed: "s"}}})
		return err
	}
	if err := one("a"); err != nil {
		t.Fatal(err)
	}
	m := redistest.OpenSlot(t, nodes, l.EpochKey(testTag))
	for left := -1; left != 0; left = m.Keys(1) {
		if err := one("b"); !redis.HasErrorPrefix(err, "TRYAGAIN") {
			t.Fatalf("appended: %v", err)
		}
		if _, err := l.LookAt(t.Context(), []string{testTag}); !redis.HasErrorPrefix(err, "TRYAGAIN") {
			t.Fatalf("looked: %v", err)
		}
	}
	m.Close()
	if err := one("b"); err != nil {
		t.Fatal(err)
	}
	if all, err := l.LookAt(t.Context(), []string{testTag}); err != nil || all[0].Missing {
		t.Errorf("%+v, %v", all, err)
	}
}
