package vault

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

const keyBytes = 32

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,16}$`)

// sealingKey is one parsed key with its cipher, which is made once.
type sealingKey struct {
	id     string
	header []byte // version, length of the id, id
	aead   cipher.AEAD
}

// Keys are the sealing keys of a process: the first seals, all open. Make it
// with ParseKeys; the zero value opens nothing and must not be used to seal.
// It is immutable and safe for concurrent use, and prints as "[redacted]".
type Keys struct {
	secret
	first *sealingKey
	byID  map[string]*sealingKey
}

// ParseKeys reads the value of HABILITA_KEYS: "id:base64 of 32 bytes", separated
// by commas or line ends. White space around a key is dropped. Every fault is reported at
// once, by the position of its key (the first is key 1); an error never holds
// any part of a key, nor an id that could be a key put the wrong way round.
func ParseKeys(s string) (*Keys, error) {
	if strings.TrimSpace(s) == "" {
		return nil, errors.New("no sealing key given: `enqueue keygen` prints one for HABILITA_KEYS")
	}
	k := &Keys{byID: map[string]*sealingKey{}}
	var faults []error
	var raws [][]byte
	for i, item := range Split(s) {
		id, raw, err := parseKey(item)
		if err == nil {
			err = k.add(id, raw, raws)
			raws = append(raws, raw)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("sealing key %d: %w", i+1, err))
		}
	}
	for _, raw := range raws {
		clear(raw)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return k, nil
}

var separator = regexp.MustCompile(`\s*[,\n]\s*`)

// Split returns the parts of a secret, which are separated by commas or line ends.
func Split(s string) []string { return separator.Split(strings.TrimSpace(s), -1) }

func parseKey(item string) (id string, raw []byte, err error) {
	id, text, ok := strings.Cut(item, ":")
	raw, err = base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case item == "":
		return "", nil, errors.New("is empty (a comma too many?)")
	case !ok:
		return "", nil, errors.New("has no colon; a key is id:base64")
	case !validID.MatchString(id):
		return "", nil, errors.New("its id must be 1 to 16 letters, digits, '_' or '-'")
	case err != nil:
		return "", nil, errors.New("what follows the colon is not base64")
	case len(raw) != keyBytes:
		return "", nil, fmt.Errorf("decodes to %d bytes, not %d", len(raw), keyBytes)
	case bytes.Equal(raw, make([]byte, keyBytes)):
		return "", nil, errors.New("is all zero bytes")
	}
	return id, raw, nil
}

func (k *Keys) add(id string, raw []byte, earlier [][]byte) error {
	if k.byID[id] != nil {
		return fmt.Errorf("its id %q was used by an earlier key", id)
	}
	if slices.ContainsFunc(earlier, func(e []byte) bool { return bytes.Equal(raw, e) }) {
		return errors.New("is the same key as an earlier one under another id")
	}
	block, _ := aes.NewCipher(raw)  // never fails with a key of 32 bytes
	aead, _ := cipher.NewGCM(block) // nor with AES
	header := append([]byte{sealVersion, byte(len(id))}, id...)
	key := &sealingKey{id: id, header: header, aead: aead}
	k.first = cmp.Or(k.first, key)
	k.byID[id] = key
	return nil
}

// First is the id of the key that seals.
func (k *Keys) First() string { return k.first.id }

// IDs are the ids of all keys; the first is that of the key that seals.
func (k *Keys) IDs() []string {
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(k.byID)), func(id string) bool { return id == k.First() })
	return append([]string{k.First()}, others...)
}

// GenerateKey makes a random key in the form that ParseKeys reads. An empty id
// stands for "k" and today's date in UTC, such as "k20261123". It fails on an
// id that isn't 1 to 16 letters, digits, '_' or '-'.
func GenerateKey(id string) (string, error) {
	id = cmp.Or(id, "k"+time.Now().UTC().Format("20060102"))
	if !validID.MatchString(id) {
		return "", errors.New("a key's id must be 1 to 16 letters, digits, '_' or '-'")
	}
	return id + ":" + base64.StdEncoding.EncodeToString(NewKey()), nil
}

// secret prints as "[redacted]", in every way.
type secret struct{}

// Redacted stands in place of a secret.
const Redacted = "[redacted]"

// Format writes "[redacted]" under every verb.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalJSON gives "[redacted]".
func (secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }
