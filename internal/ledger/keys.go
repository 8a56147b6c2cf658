package ledger

import (
	"crypto/sha256"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"

	"habilita/internal/redisconn"
	"habilita/internal/vault"
)

const (
	// TokenLen is the length of a token's name: 24 characters of a to z and 2 to 7.
	TokenLen = 24
	// Buckets is the number of hash tags over which tokens are spread: the first
	// two characters of a token's name.
	Buckets = 1024
	// NoBatch stands for the batch of calls that were enqueued without one.
	NoBatch = "solo"

	alphabet = "abcdefghijklmnopqrstuvwxyz234567"
)

// BatchID returns the short name under which keys and ids know a batch: 12
// characters of the name's SHA-256. The empty name is NoBatch.
func BatchID(name string) string {
	if name == "" {
		return NoBatch
	}
	sum := sha256.Sum256([]byte(name))
	return vault.Lower32.EncodeToString(sum[:])[:12]
}

// ChainID returns the id of a chain: the token's name, and the chain's own name if the
// producer gave one.
func ChainID(token, name string) string {
	if name == "" {
		return token
	}
	return token + ":" + name
}

// SplitChainID is the reverse of ChainID.
func SplitChainID(id string) (token, name string) {
	token, name, _ = strings.Cut(id, ":")
	return token, name
}

// GivenKey returns the key, within batch and token, of a call that got its id from the
// producer.
func GivenKey(id string) string { return "=" + id }

// RowKey returns the key of a call of a batch that has no id. The call is known by what it says, and
// by its number, from 1, among the calls that say the same. token is the token's name.
func RowKey(n *vault.TokenIDs, number uint64, server, token, name, ref string) string {
	return n.Row(rowMark[0], number, server, token, name, ref)
}

// rowMark begins the keys of rows.
const rowMark = "_"

// IsOrdinal reports whether a key is the place of its call in its chain. Older versions, which
// did not know calls by what they say, made such keys.
func IsOrdinal(key string) bool { return ordinal.MatchString(key) }

// ordinal has the place at its end, behind a "#" if something stands before it.
var ordinal = regexp.MustCompile(`^-(?s:.*#)?[0-9]+$`)

// UniqueKey returns the key of a call that has neither a batch nor an id. random is text
// that the producer makes once for the call.
func UniqueKey(random string) string { return "-" + random }

// CallID returns the id of a call as people and the vendor's log see it: the one that
// its producer gave, else batch, token and key.
func CallID(batch, token, key string) string {
	if given, ok := strings.CutPrefix(key, "="); ok {
		return given
	}
	return batch + "-" + token + key
}

// parseCallID reads batch, token and key from an id that CallID made of them. Not ok: a producer
// gave the id, and the index finds its call.
func parseCallID(id string) (batch, token, key string, ok bool) {
	batch, rest, ok := strings.Cut(id, "-")
	if !ok || len(rest) < TokenLen+2 || rest[TokenLen] != '-' && rest[TokenLen] != '_' || !IsToken(rest[:TokenLen]) {
		return "", "", "", false
	}
	return batch, rest[:TokenLen], rest[TokenLen:], true
}

// IsToken reports whether s has the form of a token's name.
func IsToken(s string) bool {
	if len(s) != TokenLen {
		return false
	}
	for i := range len(s) { // for every row of a file
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// Tag returns the bucket of a token or chain: the two characters that are the hash
// tag of all its keys. A text that is too short, such as a chain that a person mistyped,
// gets a bucket that holds nothing.
func Tag(tokenOrChain string) string { return tokenOrChain[:min(2, len(tokenOrChain))] }

// TagAt returns the nth of the Buckets tags.
func TagAt(n int) string { return string([]byte{alphabet[n/32], alphabet[n%32]}) }

// AllTags returns the tags of all buckets, in order.
func AllTags() []string {
	all := make([]string, Buckets)
	for i := range all {
		all[i] = TagAt(i)
	}
	return all
}

// TagIndex is the reverse of TagAt; -1 for a text that is no tag.
func TagIndex(tag string) int {
	if len(tag) != 2 {
		return -1
	}
	hi, lo := strings.IndexByte(alphabet, tag[0]), strings.IndexByte(alphabet, tag[1])
	if hi < 0 || lo < 0 {
		return -1
	}
	return hi*32 + lo
}

// bucket returns the prefix of all keys of a tag.
func (l *Ledger) bucket(tag string) string { return redisconn.Bucket(l.o.Prefix, tag) }

// keys returns the KEYS that every script on a bucket declares.
func (l *Ledger) keys(tag string) []string { return redisconn.BucketKeys(l.o.Prefix, tag) }

// keysOnce returns the KEYS of one execution of a decision: also the name under which its answer is kept.
func (l *Ledger) keysOnce(tag string) []string {
	return append(l.keys(tag), l.bucket(tag)+"told:"+strconv.FormatUint(rand.Uint64(), 36))
}
