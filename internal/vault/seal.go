package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
)

const (
	sealVersion = 1
	nonceBytes  = 12
	tagBytes    = 16
)

// ErrTampered says that a blob isn't a sealed value, was changed, or was
// sealed for another purpose. Which of these can't be told.
var ErrTampered = errors.New("the sealed value was changed, or belongs elsewhere")

// KeyGoneError says that a blob was sealed under a key that isn't among the keys.
type KeyGoneError struct {
	ID string // id of the missing key
}

// Error names the missing key's id, and the remedy.
func (e *KeyGoneError) Error() string {
	return fmt.Sprintf("sealed under key %q, which is not among HABILITA_KEYS: add it behind the others", e.ID)
}

// Seal seals plain under the first key. The same purpose must be given to open
// it again; the purpose itself is not kept.
func (k *Keys) Seal(plain, purpose string) []byte {
	h := len(k.first.header)
	out := make([]byte, h+nonceBytes, h+nonceBytes+len(plain)+tagBytes)
	copy(out, k.first.header)
	rand.Read(out[h:]) // never fails: crypto/rand ends the program instead
	return k.first.aead.Seal(out, out[h:], []byte(plain), bound(k.first.header, purpose))
}

// bound is the additional data of a seal.
func bound(header []byte, purpose string) []byte { return append(slices.Clone(header), purpose...) }

// Open gives back what Seal sealed for the same purpose. It fails with a
// *KeyGoneError if the key isn't among the keys, and with ErrTampered for
// everything else.
func (k *Keys) Open(sealed []byte, purpose string) (string, error) {
	id, ok := SealedBy(sealed)
	if !ok {
		return "", ErrTampered
	}
	key := k.byID[id]
	if key == nil {
		return "", &KeyGoneError{ID: id}
	}
	h := len(key.header)
	plain, err := key.aead.Open(nil, sealed[h:h+nonceBytes], sealed[h+nonceBytes:], bound(sealed[:h], purpose))
	if err != nil {
		return "", ErrTampered
	}
	return string(plain), nil
}

// IsCurrent tells whether the first key sealed the blob. Nothing is
// authenticated.
func (k *Keys) IsCurrent(sealed []byte) bool {
	id, ok := SealedBy(sealed)
	return ok && id == k.first.id
}

// ReSeal returns the blob sealed under the first key. If that key sealed it
// already, it comes back unopened, with changed false. ReSeal fails as Open does.
func (k *Keys) ReSeal(sealed []byte, purpose string) (out []byte, changed bool, err error) {
	if k.IsCurrent(sealed) {
		return sealed, false, nil
	}
	plain, err := k.Open(sealed, purpose)
	if err != nil {
		return nil, false, err
	}
	return k.Seal(plain, purpose), true, nil
}

// SealedBy tells the id of the key that sealed a blob; ok is false for what isn't a sealed blob, such as one too short
// to hold a nonce and a tag. Nothing is authenticated.
func SealedBy(sealed []byte) (id string, ok bool) {
	if len(sealed) < 2 || sealed[0] != sealVersion {
		return "", false
	}
	h := 2 + int(sealed[1])
	if len(sealed) < h+nonceBytes+tagBytes || !validID.Match(sealed[2:h]) {
		return "", false
	}
	return string(sealed[2:h]), true
}
