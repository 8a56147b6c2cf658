package guard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// minKey is the least length of a key, in characters.
const minKey = 20

// maxKey is the greatest length of a key, so that checking one is cheap.
const maxKey = 512

// local is who asks if there are no keys.
const local = "local"

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	// What a Bearer header can carry (RFC 6750).
	keyForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)
)

// Keys are the keys that are let in. They keep only hashes, and print only how many
// they are. The zero Keys let nobody in.
type Keys []entry

type entry struct {
	Principal
	hash [sha256.Size]byte
}

// Format writes how many there are, under every verb.
func (k Keys) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d API keys", len(k)) }

// ParseKeys reads NAME:KIND:KEY, separated by commas or line ends. KIND is write or read. "" is no keys.
// The error names the wrong key by its place, and never holds one.
func ParseKeys(text string) (Keys, error) {
	var k Keys
	for i, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		wrong := func(problem string) (Keys, error) {
			return nil, fmt.Errorf("key %d %s; want NAME:KIND:KEY, as `enqueue keygen --api NAME` prints it", i+1, problem)
		}
		fields := strings.SplitN(part, ":", 3)
		if len(fields) != 3 {
			return wrong("has not three parts")
		}
		name, kind, key := fields[0], fields[1], fields[2]
		hash := sha256.Sum256([]byte(key))
		switch {
		case !nameForm.MatchString(name):
			return wrong("has a name that can't be one: 1 to 64 letters, digits and . _ @ -")
		case name == local:
			return wrong(`is called "local", which is the name of callers when there are no keys`)
		case slices.ContainsFunc(k, func(e entry) bool { return e.Name == name }):
			return wrong("has a name that an earlier one has")
		case kind != "write" && kind != "read":
			return wrong("is neither write nor read")
		case len(key) < minKey:
			return wrong(fmt.Sprintf("is shorter than %d characters", minKey))
		case len(key) > maxKey:
			return wrong(fmt.Sprintf("is longer than %d characters", maxKey))
		case !keyForm.MatchString(key):
			return wrong("has a character that a Bearer header can't carry: want letters, digits and . _ ~ + / - with = at the end")
		case slices.ContainsFunc(k, func(e entry) bool { return e.hash == hash }):
			return wrong("is the same as an earlier one")
		}
		k = append(k, entry{Principal{Name: name, CanWrite: kind == "write"}, hash})
	}
	if len(k) == 0 && strings.TrimSpace(text) != "" {
		return nil, errors.New("has no key; want NAME:KIND:KEY, as `enqueue keygen --api NAME` prints it")
	}
	return k, nil
}

// find returns whose key it is. It always looks at all keys, and takes as long for a key
// that is nearly right as for one that is not.
func (k Keys) find(key string) (Principal, bool) {
	if len(key) > maxKey {
		return Principal{}, false
	}
	hash := sha256.Sum256([]byte(key))
	found := -1
	for i := range k {
		same := subtle.ConstantTimeCompare(hash[:], k[i].hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Principal{}, false
	}
	return k[found].Principal, true
}

// GenerateKey makes a new key of 32 random bytes, as HABILITA_API_KEYS takes it.
func GenerateKey(name string, readOnly bool) (string, error) {
	if !nameForm.MatchString(name) || name == local {
		return "", errors.New(`want 1 to 64 letters, digits and . _ @ -, and not "local"`)
	}
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	kind := "write"
	if readOnly {
		kind = "read"
	}
	return name + ":" + kind + ":" + base64.RawURLEncoding.EncodeToString(b[:]), nil
}
