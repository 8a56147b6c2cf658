package vault

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"
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
