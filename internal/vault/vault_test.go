package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func mustKeys(tb testing.TB, items ...string) *Keys {
	tb.Helper()
	k, err := ParseKeys(strings.Join(items, ","))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func mustGenerate(tb testing.TB, id string) string {
	tb.Helper()
	s, err := GenerateKey(id)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

const token = "tok-0123456789-abcdefghijklmnopqrstuvwxyz-XYZ" // 45 bytes

func TestSealOpen(t *testing.T) {
	k := mustKeys(t, mustGenerate(t, "k20261123"))
	for _, plain := range []string{"", "x", token, strings.Repeat("long", 4096)} {
		sealed := k.Seal(plain, "name")
		if len(plain) > 8 && bytes.Contains(sealed, []byte(plain[:8])) {
			t.Error("the sealed blob shows its token")
		}
		got, err := k.Open(sealed, "name")
		if err != nil || got != plain {
			t.Errorf("Open = %d bytes, %v; want %d bytes", len(got), err, len(plain))
		}
	}
	if n := len(k.Seal(token, "name")); n != 84 {
		t.Errorf("a token of 45 bytes takes %d bytes sealed, want 84", n)
	}
	if bytes.Equal(k.Seal(token, "n"), k.Seal(token, "n")) {
		t.Error("two seals of a token are the same")
	}
}

func keyGone(err error) bool {
	_, ok := errors.AsType[*KeyGoneError](err)
	return ok
}

func TestOpenRefusesEveryChange(t *testing.T) {
	k := mustKeys(t, mustGenerate(t, "a"), mustGenerate(t, "c"))
	sealed := k.Seal(token, "name")
	for i := range sealed {
		for bit := range 8 {
			bad := bytes.Clone(sealed)
			bad[i] ^= 1 << bit
			if _, err := k.Open(bad, "name"); err == nil {
				t.Fatalf("opened with bit %d of byte %d changed", bit, i)
			} else if !errors.Is(err, ErrTampered) && !keyGone(err) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	for n := range sealed {
		if _, err := k.Open(sealed[:n], "name"); !errors.Is(err, ErrTampered) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	for _, purpose := range []string{"", "nam", "name2", "Name"} {
		if _, err := k.Open(sealed, purpose); !errors.Is(err, ErrTampered) {
			t.Errorf("purpose %q: %v", purpose, err)
		}
	}
}

func TestRotation(t *testing.T) {
	oldKey, newKey := mustGenerate(t, "old"), mustGenerate(t, "new")
	before, during, after := mustKeys(t, oldKey), mustKeys(t, newKey, oldKey), mustKeys(t, newKey)
	sealed := before.Seal(token, "p")

	if id, ok := SealedBy(sealed); !ok || id != "old" {
		t.Errorf("SealedBy = %q, %v", id, ok)
	}
	if during.IsCurrent(sealed) || !before.IsCurrent(sealed) {
		t.Error("IsCurrent is wrong")
	}
	var gone *KeyGoneError
	if _, err := after.Open(sealed, "p"); !errors.As(err, &gone) || gone.ID != "old" {
		t.Errorf("without the old key: %v", err)
	}
	if _, _, err := after.ReSeal(sealed, "p"); !keyGone(err) {
		t.Errorf("ReSeal without the old key: %v", err)
	}
	fresh, changed, err := during.ReSeal(sealed, "p")
	if err != nil || !changed || !after.IsCurrent(fresh) {
		t.Fatalf("ReSeal: changed %v, %v", changed, err)
	}
	if got, err := after.Open(fresh, "p"); err != nil || got != token {
		t.Errorf("Open after ReSeal: %v", err)
	}
	again, changed, err := during.ReSeal(fresh, "p")
	if err != nil || changed || !bytes.Equal(again, fresh) {
		t.Errorf("ReSeal of a current blob: changed %v, %v", changed, err)
	}
	if _, _, err := during.ReSeal(sealed, "other"); !errors.Is(err, ErrTampered) {
		t.Errorf("ReSeal for another purpose: %v", err)
	}
	if id := during.First(); id != "new" {
		t.Errorf("First = %q", id)
	}
}

func TestSameIDOtherKeyIsTampering(t *testing.T) {
	a, b := mustKeys(t, mustGenerate(t, "k")), mustKeys(t, mustGenerate(t, "k"))
	if _, err := b.Open(a.Seal(token, "p"), "p"); !errors.Is(err, ErrTampered) {
		t.Errorf("got %v", err)
	}
}

// A file may have a key on each line, with commas or without.
func TestKeysOnLines(t *testing.T) {
	a, b, c := mustGenerate(t, "a"), mustGenerate(t, "b"), mustGenerate(t, "c")
	if k := mustKeys(t, a+" ,\n"+b+"\r\n\n , "+c+"\n"); k.First() != "a" || len(k.byID) != 3 {
		t.Errorf("the first is %s of %d", k.First(), len(k.byID))
	}
}

func TestParseKeysFaults(t *testing.T) {
	good := mustGenerate(t, "k1")
	_, b64, _ := strings.Cut(good, ":")
	tests := []struct{ name, in, want string }{
		{"empty", " \n", "enqueue keygen"},
		{"trailing comma", good + ",", "key 2: is empty"},
		{"two commas", good + ", ," + good, "key 2: is empty"},
		{"no colon", good + "," + b64, "key 2: has no colon"},
		{"wrong way round", b64 + ":k1", "key 1: its id must be"},
		{"long id", strings.Repeat("i", 17) + ":" + b64, "key 1: its id must be"},
		{"no id", ":" + b64, "key 1: its id must be"},
		{"bad base64", "k1:" + b64[:20] + "!" + b64[21:], "key 1: what follows the colon is not base64"},
		{"short", "k1:" + base64.StdEncoding.EncodeToString(make([]byte, 31)), "key 1: decodes to 31 bytes, not 32"},
		{"zero", "k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "key 1: is all zero"},
		{"same id", good + "," + mustGenerate(t, "k1"), `key 2: its id "k1" was used`},
		{"same key", good + ",k2:" + b64, "key 2: is the same key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseKeys(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q in it", err, tt.want)
			}
			for _, part := range []string{b64[:12], b64[20:32]} {
				if strings.Contains(err.Error(), part) {
					t.Error("the error shows the key")
				}
			}
		})
	}
	_, err := ParseKeys("x,k:??")
	if err == nil || !strings.Contains(err.Error(), "key 1") || !strings.Contains(err.Error(), "key 2") {
		t.Errorf("not all faults in one error: %v", err)
	}
	if _, err := ParseKeys(" " + good + " ,\n" + mustGenerate(t, "k2") + "\n"); err != nil {
		t.Errorf("white space around keys: %v", err)
	}
}

func TestGenerateKey(t *testing.T) {
	if _, err := GenerateKey("no good"); err == nil {
		t.Error("took a bad id")
	}
	s := mustGenerate(t, "")
	if id, _, _ := strings.Cut(s, ":"); len(id) != 9 || id[0] != 'k' {
		t.Errorf("default id is %q", id)
	}
	mustKeys(t, s)
}

func TestNothingPrintsASecret(t *testing.T) {
	keys := mustKeys(t, mustGenerate(t, "k1"))
	raw := NewKey()
	for _, v := range []any{keys, NewTokenIDs(raw)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); got != "[redacted]" {
				t.Errorf("%T under %s prints %q", v, verb, got)
			}
		}
		if b, err := json.Marshal(map[string]any{"v": v}); err != nil || string(b) != `{"v":"[redacted]"}` {
			t.Errorf("%T in JSON: %s, %v", v, b, err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	k := mustKeys(t, mustGenerate(t, "a"))
	raw := NewKey()
	n := NewTokenIDs(raw)
	want := n.Name(token)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				plain := fmt.Sprint(g, i)
				sealed := k.Seal(plain, "p")
				if got, err := k.Open(sealed, "p"); err != nil || got != plain {
					t.Errorf("Open = %q, %v", got, err)
				}
				n.Name(plain)
				if n.Name(token) != want {
					t.Error("a name changed")
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	k := mustKeys(f, mustGenerate(f, "a"))
	sealed := k.Seal(token, "p")
	f.Add(sealed)
	f.Add([]byte{1, 1, 'a'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := k.Open(b, "p")
		if err == nil && (!bytes.Equal(b, sealed) || got != token) {
			t.Fatalf("opened what was never sealed: %x", b)
		}
		id, ok := SealedBy(b)
		if ok && !validID.MatchString(id) {
			t.Fatalf("SealedBy gave %q", id)
		}
		if err == nil && !k.IsCurrent(b) {
			t.Fatal("opened under the only key, yet not current")
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add("k1:AAAA,k2:BBBB")
	f.Add(mustGenerate(f, "a") + "," + mustGenerate(f, "b"))
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseKeys(s)
		if err != nil {
			for _, item := range strings.Split(s, ",") {
				if _, secret, ok := strings.Cut(item, ":"); ok && len(secret) >= 20 && strings.Contains(err.Error(), secret) {
					t.Fatalf("the error shows the key: %v", err)
				}
			}
			return
		}
		sealed := k.Seal("x", "p")
		if got, err := k.Open(sealed, "p"); err != nil || got != "x" {
			t.Fatalf("parsed keys don't work: %q, %v", got, err)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := mustKeys(b, mustGenerate(b, "k20261123"))
	b.ReportAllocs()
	for b.Loop() {
		k.Seal(token, "abcdefghijklmnopqrstuvwx")
	}
}

func BenchmarkOpen(b *testing.B) {
	k := mustKeys(b, mustGenerate(b, "k20261123"))
	sealed := k.Seal(token, "abcdefghijklmnopqrstuvwx")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open(sealed, "abcdefghijklmnopqrstuvwx"); err != nil {
			b.Fatal(err)
		}
	}
}
