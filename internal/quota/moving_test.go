package quota

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
)

// While a cluster moves a token's slot, nothing is granted at either node.
func TestNothingIsGrantedOnHalfABucket(t *testing.T) {
	t.Parallel()
	_, nodes := redistest.StartCluster(t, 2)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Addr}})
	defer c.Close()
	l, err := New(c, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	const token = "abcdef"
	try := func() error {
		_, err := l.Try(t.Context(), token)
		return err
	}
	if err := try(); err != nil {
		t.Fatal(err)
	}
	m := redistest.OpenSlot(t, nodes, redisconn.Bucket("habilita", Tag(token))+"epoch")
	for left := -1; left != 0; left = m.Keys(1) {
		if err := try(); !redis.HasErrorPrefix(err, "TRYAGAIN") {
			t.Fatalf("granted: %v", err)
		}
		if _, err := l.Peek(t.Context(), token); !redis.HasErrorPrefix(err, "TRYAGAIN") {
			t.Fatalf("peeked: %v", err)
		}
	}
	m.Close()
	if err := try(); err != nil {
		t.Fatal(err)
	}
	if u, err := l.Peek(t.Context(), token); err != nil || u.Held != 2 {
		t.Errorf("%+v, %v", u, err)
	}
}
