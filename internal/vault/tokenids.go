package vault

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	nameBytes        = 15 // 120 bits, 24 characters
	rowBytes         = 11 // of which 84 bits stay: 14 characters
	rowChars         = 14
	fingerprintChars = 12
	// A token has no control characters, so no token's name is made of this.
	fingerprintOf = "\x00habilita naming key"
	rowOf         = "\x00row\x00"
)

// Lower32 is base32 in lower case, as names have it.
var Lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey makes a key of 32 random bytes: a token-ID key, a sealing key or a secret.
func NewKey() []byte {
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
}

// TokenIDs names tokens by HMAC-SHA256 under the token-ID key. It is safe for
// concurrent use, and prints as "[redacted]".
type TokenIDs struct {
	secret
	macs        sync.Pool // *tokenIDMAC
	fingerprint string
}

// tokenIDMAC is a keyed hash and room for its sum, used by one caller at a time.
type tokenIDMAC struct {
	h    hash.Hash
	in   []byte
	sum  [sha256.Size]byte
	name [24]byte
}

// NewTokenIDs copies the token-ID key.
func NewTokenIDs(key []byte) *TokenIDs {
	own := append([]byte(nil), key...)
	n := &TokenIDs{}
	n.macs.New = func() any { return &tokenIDMAC{h: hmac.New(sha256.New, own)} }
	n.fingerprint = n.Name(fingerprintOf)[:fingerprintChars]
	return n
}

// Name is the token_id: the first 120 bits of the token's HMAC as 24 characters
// [a-z2-7]. Without the token-ID key, it reveals nothing about the token. The
// first two characters spread evenly over 1,024 buckets.
func (n *TokenIDs) Name(token string) string {
	m := n.macs.Get().(*tokenIDMAC)
	defer n.macs.Put(m)
	sum := m.sumOf(append(m.in[:0], token...))
	Lower32.Encode(m.name[:], sum[:nameBytes])
	clear(m.in)
	return string(m.name[:])
}

// sumOf is the HMAC of in, which is kept for its room.
func (m *tokenIDMAC) sumOf(in []byte) []byte {
	m.h.Reset()
	m.in = in
	m.h.Write(in)
	return m.h.Sum(m.sum[:0])
}

// Row names a row by what it says: mark, followed by 84 bits of an HMAC as 14 characters of
// base64url. The HMAC is over the number and the texts, each with its length before it. So
// other texts have another name, and nobody without the key can find the texts by guessing.
func (n *TokenIDs) Row(mark byte, number uint64, server, token, chain, ref string) string {
	m := n.macs.Get().(*tokenIDMAC)
	defer n.macs.Put(m)
	in := binary.AppendUvarint(append(m.in[:0], rowOf...), number)
	for _, p := range [...]string{server, token, chain, ref} {
		in = append(binary.AppendUvarint(in, uint64(len(p))), p...)
	}
	text := [1 + 16]byte{mark}
	base64.RawURLEncoding.Encode(text[1:], m.sumOf(in)[:rowBytes])
	return string(text[:1+rowChars])
}

// Fingerprint tells token-ID keys apart in public: 12 characters [a-z2-7] of an
// HMAC of a constant. Processes that share a Redis must agree on it.
func (n *TokenIDs) Fingerprint() string { return n.fingerprint }

// tokenIDPurpose is what the token-ID key is sealed for.
const tokenIDPurpose = "habilita naming key"

// rekeyTries bounds RekeyTokenIDKey if others rekey at the same time. One of
// them wins each round, so a second try finds the work done.
const rekeyTries = 8

// EnsureTokenIDKey opens the token-ID key that rests sealed in Redis under keyName,
// and makes it if there is none. If processes do so at the same time, one wins, and
// all get its key. The key is never replaced: a token-ID key that can't be opened is
// an error that names the sealing key's id (a *KeyGoneError, or errors.Is
// ErrTampered). Redis errors come back wrapped.
func EnsureTokenIDKey(ctx context.Context, rdb redis.UniversalClient, keyName string, keys *Keys) (*TokenIDs, error) {
	ids, err := OpenTokenIDKey(ctx, rdb, keyName, keys)
	if !errors.Is(err, ErrNoTokenIDKey) {
		return ids, err
	}
	key := NewKey()
	defer clear(key)
	if err := RestoreTokenIDKey(ctx, rdb, keyName, keys.Seal(string(key), tokenIDPurpose)); err != nil {
		return nil, err
	}
	// Read it back in either case: another process may have won, or the reply
	// to our own successful SET was lost and the client sent it again.
	return OpenTokenIDKey(ctx, rdb, keyName, keys)
}

// ErrNoTokenIDKey says that no token-ID key was made yet.
var ErrNoTokenIDKey = errors.New("there is no token-ID key")

// OpenTokenIDKey is EnsureTokenIDKey for a process that only reads. If there is no
// key, the error is ErrNoTokenIDKey.
func OpenTokenIDKey(ctx context.Context, rdb redis.UniversalClient, keyName string, keys *Keys) (*TokenIDs, error) {
	sealed, err := SealedTokenIDKey(ctx, rdb, keyName)
	if errors.Is(err, redis.Nil) {
		return nil, ErrNoTokenIDKey
	}
	if err != nil {
		return nil, err
	}
	return OpenSealedTokenIDKey(sealed, keyName, keys)
}

// OpenSealedTokenIDKey opens a token-ID key as it rests sealed in Redis under keyName.
func OpenSealedTokenIDKey(sealed []byte, keyName string, keys *Keys) (*TokenIDs, error) {
	plain, err := openTokenIDKey(sealed, keyName, keys)
	if err != nil {
		return nil, err
	}
	return NewTokenIDs([]byte(plain)), nil
}

func openTokenIDKey(sealed []byte, keyName string, keys *Keys) (string, error) {
	plain, err := keys.Open(sealed, tokenIDPurpose)
	if err == nil && len(plain) != keyBytes {
		err = ErrTampered
	}
	if err == nil {
		return plain, nil
	}
	if id, ok := SealedBy(sealed); ok && errors.Is(err, ErrTampered) {
		return "", fmt.Errorf("token-ID key %s: the key %q in HABILITA_KEYS is not the one that sealed it: "+
			"give the keys that the workers of this Redis have (%w)", keyName, id, err)
	}
	return "", fmt.Errorf("token-ID key %s: %w", keyName, err)
}

// RekeyTokenIDKey seals the token-ID key under the first of the keys. Its value
// stays, so no token changes its name. changed is false if that key sealed it
// already. RekeyTokenIDKey never overwrites what another process put there
// meanwhile. If there is no token-ID key yet, it does nothing.
func RekeyTokenIDKey(ctx context.Context, rdb redis.UniversalClient, keyName string, keys *Keys) (changed bool, err error) {
	for range rekeyTries {
		err = rdb.Watch(ctx, func(tx *redis.Tx) error {
			changed = false
			sealed, err := tx.Get(ctx, keyName).Bytes()
			if errors.Is(err, redis.Nil) || err == nil && keys.IsCurrent(sealed) {
				return nil
			}
			if err != nil {
				return err
			}
			plain, err := openTokenIDKey(sealed, keyName, keys)
			if err != nil {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, keyName, keys.Seal(plain, tokenIDPurpose), 0)
				return nil
			})
			changed = err == nil
			return err
		}, keyName)
		if !errors.Is(err, redis.TxFailedErr) {
			break
		}
	}
	if err != nil {
		return false, fmt.Errorf("rekey the token-ID key: %w", err)
	}
	return changed, nil
}

// SealedTokenIDKey returns the token-ID key as it rests sealed in Redis, for a program that keeps
// a copy. RestoreTokenIDKey puts it back into a Redis that has lost it, or that ended with its
// process.
func SealedTokenIDKey(ctx context.Context, rdb redis.UniversalClient, keyName string) (sealed []byte, err error) {
	if sealed, err = rdb.Get(ctx, keyName).Bytes(); err != nil {
		return nil, fmt.Errorf("token-ID key: %w", err)
	}
	return sealed, nil
}

// RestoreTokenIDKey puts what SealedTokenIDKey gave into a Redis that has no token-ID key.
func RestoreTokenIDKey(ctx context.Context, rdb redis.UniversalClient, keyName string, sealed []byte) error {
	err := rdb.SetArgs(ctx, keyName, sealed, redis.SetArgs{Mode: "NX"}).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("token-ID key: %w", err)
	}
	return nil
}
