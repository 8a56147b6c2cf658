package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestName(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	n := NewTokenIDs(key)
	shape := regexp.MustCompile(`^[a-z2-7]{24}$`)
	for _, tok := range []string{"", "a", token, strings.Repeat("x", 5000)} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(tok))
		want := strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)[:15]))
		got := n.Name(tok)
		if got != want || !shape.MatchString(got) {
			t.Errorf("Name(%d bytes) = %q, want %q", len(tok), got, want)
		}
	}
	clear(key)
	if NewTokenIDs([]byte(strings.Repeat("k", 32))).Name("a") != n.Name("a") {
		t.Error("it uses the caller's key, not a copy")
	}
}

func TestNamesSpreadOverBuckets(t *testing.T) {
	n := NewTokenIDs([]byte(strings.Repeat("k", 32)))
	seen := map[string]int{}
	for i := range 20_000 {
		seen[n.Name(fmt.Sprint("token", i))[:2]]++
	}
	if len(seen) != 1024 {
		t.Errorf("%d buckets are used, want 1024", len(seen))
	}
	for b, c := range seen {
		if c > 60 { // the mean is 20
			t.Errorf("bucket %s has %d of 20,000 tokens", b, c)
		}
	}
}

func TestFingerprint(t *testing.T) {
	a, b := NewTokenIDs([]byte(strings.Repeat("a", 32))), NewTokenIDs([]byte(strings.Repeat("b", 32)))
	if a.Fingerprint() == b.Fingerprint() || len(a.Fingerprint()) != 12 {
		t.Errorf("fingerprints %q and %q", a.Fingerprint(), b.Fingerprint())
	}
	if a.Fingerprint() != NewTokenIDs([]byte(strings.Repeat("a", 32))).Fingerprint() {
		t.Error("a fingerprint changed")
	}
}

func startRedis(tb testing.TB) (*miniredis.Miniredis, redis.UniversalClient) {
	tb.Helper()
	m := miniredis.RunT(tb)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	tb.Cleanup(func() { _ = c.Close() })
	return m, c
}

func TestEnsureTokenIDKeyOnceForAll(t *testing.T) {
	m, rdb := startRedis(t)
	keys := mustKeys(t, mustGenerate(t, "a"))
	start := make(chan struct{})
	prints := make([]string, 32)
	var wg sync.WaitGroup
	for i := range prints {
		wg.Go(func() {
			<-start
			n, err := EnsureTokenIDKey(t.Context(), rdb, "nk", keys)
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = n.Fingerprint()
		})
	}
	close(start)
	wg.Wait()
	for _, p := range prints {
		if p != prints[0] || p == "" {
			t.Fatalf("processes disagree: %v", prints)
		}
	}
	if m.TTL("nk") != 0 {
		t.Error("the token-ID key expires")
	}
}

func TestTokenIDKeyRotation(t *testing.T) {
	m, rdb := startRedis(t)
	ctx := t.Context()
	oldKey, newKey := mustGenerate(t, "old"), mustGenerate(t, "new")
	first, err := EnsureTokenIDKey(ctx, rdb, "nk", mustKeys(t, oldKey))
	if err != nil {
		t.Fatal(err)
	}
	stored, _ := m.Get("nk")

	var gone *KeyGoneError
	if _, err = EnsureTokenIDKey(ctx, rdb, "nk", mustKeys(t, newKey)); !errors.As(err, &gone) || gone.ID != "old" {
		t.Fatalf("without the old key: %v", err)
	}
	if _, err = RekeyTokenIDKey(ctx, rdb, "nk", mustKeys(t, newKey)); !keyGone(err) {
		t.Fatalf("rekey without the old key: %v", err)
	}
	if _, err = EnsureTokenIDKey(ctx, rdb, "nk", mustKeys(t, mustGenerate(t, "old"))); !errors.Is(err, ErrTampered) ||
		!strings.Contains(err.Error(), `"old"`) {
		t.Fatalf("another key under the same id: %v", err)
	}
	if now, _ := m.Get("nk"); now != stored {
		t.Fatal("a failure changed the token-ID key")
	}

	both := mustKeys(t, newKey, oldKey)
	if changed, err := RekeyTokenIDKey(ctx, rdb, "nk", both); err != nil || !changed {
		t.Fatalf("rekey: changed %v, %v", changed, err)
	}
	if changed, err := RekeyTokenIDKey(ctx, rdb, "nk", both); err != nil || changed {
		t.Fatalf("rekey again: changed %v, %v", changed, err)
	}
	after, err := EnsureTokenIDKey(ctx, rdb, "nk", mustKeys(t, newKey))
	if err != nil || after.Name(token) != first.Name(token) || after.Fingerprint() != first.Fingerprint() {
		t.Fatalf("a rekey changed names: %v", err)
	}
	if changed, err := RekeyTokenIDKey(ctx, rdb, "none", both); err != nil || changed || m.Exists("none") {
		t.Errorf("rekey of nothing: changed %v, %v", changed, err)
	}
}

func TestRekeyConcurrently(t *testing.T) {
	_, rdb := startRedis(t)
	oldKey, newKey := mustGenerate(t, "old"), mustGenerate(t, "new")
	if _, err := EnsureTokenIDKey(t.Context(), rdb, "nk", mustKeys(t, oldKey)); err != nil {
		t.Fatal(err)
	}
	both := mustKeys(t, newKey, oldKey)
	var wins sync.Map
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			changed, err := RekeyTokenIDKey(t.Context(), rdb, "nk", both)
			if err != nil {
				t.Error(err)
			}
			if changed {
				wins.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	wins.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d processes rekeyed, want 1", n)
	}
}

func TestEnsureTokenIDKeyWithoutRedis(t *testing.T) {
	m, rdb := startRedis(t)
	keys := mustKeys(t, mustGenerate(t, "a"))
	m.SetError("LOADING Redis is loading the dataset in memory")
	if _, err := EnsureTokenIDKey(t.Context(), rdb, "nk", keys); err == nil {
		t.Error("no error")
	}
	m.SetError("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := EnsureTokenIDKey(ctx, rdb, "nk", keys); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	_ = m.Set("nk", "rubbish")
	if _, err := EnsureTokenIDKey(t.Context(), rdb, "nk", keys); !errors.Is(err, ErrTampered) {
		t.Errorf("rubbish: %v", err)
	}
}

func BenchmarkName(b *testing.B) {
	n := NewTokenIDs([]byte(strings.Repeat("k", 32)))
	b.ReportAllocs()
	for b.Loop() {
		n.Name(token)
	}
}

// A row's name has no text in it, and no two rows share one.
func TestRowNames(t *testing.T) {
	a, b := NewTokenIDs([]byte(strings.Repeat("a", 32))), NewTokenIDs([]byte(strings.Repeat("b", 32)))
	seen := map[string]string{}
	for _, n := range []*TokenIDs{a, b} {
		for _, number := range []uint64{1, 2, 300} {
			for _, p := range [][4]string{
				{"0042", "token", "", ""}, {"0042", "token", "ref", ""}, {"0042", "token", "", "ref"}, {"004", "2token", "", ""},
				{"0042", "token2", "", ""}, {"0043", "token", "", ""}, {"0042", "token", "r", "ef"}, {"", "", "", ""},
			} {
				name := n.Row('_', number, p[0], p[1], p[2], p[3])
				what := fmt.Sprint(n == a, number, p)
				if len(name) != 15 || name[0] != '_' || name != n.Row('_', number, p[0], p[1], p[2], p[3]) || seen[name] != "" {
					t.Errorf("%s is %q, as is %s", what, name, seen[name])
				}
				seen[name] = what
			}
		}
	}
}
