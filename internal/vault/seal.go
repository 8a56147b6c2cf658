package vault

import (
	"crypto/rand"
	"errors"
	"fmt"
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
// it again; the purpose itself is not kept. It fails only where there is no key.
func (k *Keys) Seal(plain, purpose string) ([]byte, error) {
	if k == nil || k.first == nil {
		return nil, errors.New("no sealing key")
	}
	key := k.first
	h := len(key.header)
	total := h + nonceBytes + len(plain) + tagBytes
	// One allocation: the additional data is assembled behind the result.
	buf := make([]byte, total+h+len(purpose))
	aad := buf[total:]
	copy(aad, key.header)
	copy(aad[h:], purpose)
	copy(buf, key.header)
	nonce := buf[h : h+nonceBytes]
	rand.Read(nonce) // never fails: crypto/rand ends the program instead
	text := buf[h+nonceBytes : total-tagBytes]
	copy(text, plain)
	key.aead.Seal(text[:0], nonce, text, aad)
	return buf[:total:total], nil
}

// Open gives back what Seal sealed for the same purpose. It fails with a
// *KeyGoneError where the key isn't among the keys, and with ErrTampered for
// everything else.
func (k *Keys) Open(sealed []byte, purpose string) (string, error) {
	id, h, ok := parseHeader(sealed)
	if !ok {
		return "", ErrTampered
	}
	var key *sealingKey
	if k != nil {
		key = k.byID[string(id)]
	}
	if key == nil {
		return "", &KeyGoneError{ID: string(id)}
	}
	aad := make([]byte, 0, h+len(purpose))
	aad = append(append(aad, sealed[:h]...), purpose...)
	plain, err := key.aead.Open(nil, sealed[h:h+nonceBytes], sealed[h+nonceBytes:], aad)
	if err != nil {
		return "", ErrTampered
	}
	return string(plain), nil
}

// SealedBy tells the id of the key that sealed a blob, whether or not that key
// is among the keys; ok is false for what isn't a sealed blob. Nothing is
// authenticated.
func (k *Keys) SealedBy(sealed []byte) (id string, ok bool) {
	raw, _, ok := parseHeader(sealed)
	return string(raw), ok
}

// IsCurrent tells whether the first key sealed the blob. Nothing is
// authenticated.
func (k *Keys) IsCurrent(sealed []byte) bool {
	id, _, ok := parseHeader(sealed)
	return ok && k != nil && k.first != nil && string(id) == k.first.id
}

// ReSeal gives the blob sealed under the first key. A blob that is so already
// comes back as it is, unopened, with changed false. It fails as Open does.
func (k *Keys) ReSeal(sealed []byte, purpose string) (out []byte, changed bool, err error) {
	if k.IsCurrent(sealed) {
		return sealed, false, nil
	}
	plain, err := k.Open(sealed, purpose)
	if err != nil {
		return nil, false, err
	}
	if out, err = k.Seal(plain, purpose); err != nil {
		return nil, false, err
	}
	return out, true, nil
}

// parseHeader finds the key's id and the length of the header. A blob too short
// to hold a nonce and a tag behind it is none.
func parseHeader(b []byte) (id []byte, h int, ok bool) {
	if len(b) < 2 || b[0] != sealVersion || b[1] == 0 || b[1] > maxID {
		return nil, 0, false
	}
	h = 2 + int(b[1])
	if len(b) < h+nonceBytes+tagBytes {
		return nil, 0, false
	}
	id = b[2:h]
	for _, c := range id {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return nil, 0, false
		}
	}
	return id, h, true
}
