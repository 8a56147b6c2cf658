package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/engine"
)

// IdempotencyLife is how long an Idempotency-Key is known, or RETENTION if that is shorter. Once the ledger has no record
// of a call any more, it can't tell the call from a new one, and a repeat would make it again.
const IdempotencyLife = 48 * time.Hour

const maxIdempotencyKey = 128

// idempotency remembers what was asked for under an Idempotency-Key. For each one, Redis has a
// string, PREFIX:idempotency:<hash of who and key>, with a fingerprint of the call and the call's
// id; it expires. It is written before the call: if the process dies between the two, only the
// same call can be enqueued under the key. The id is random, so that equal keys of two clients
// are two calls.
type idempotency struct {
	rdb    redis.UniversalClient
	prefix string
	life   time.Duration
}

// idempotencyKey reads the header; "" if there is none. It may be in quotes, as in the
// draft of the IETF.
func idempotencyKey(r *http.Request) (string, error) {
	all := r.Header.Values("Idempotency-Key")
	if len(all) == 0 {
		return "", nil
	}
	key := all[0]
	if len(key) >= 2 && strings.HasPrefix(key, `"`) && strings.HasSuffix(key, `"`) {
		key = key[1 : len(key)-1]
	}
	if len(all) > 1 || key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "", refuseField(badParameter, "Idempotency-Key", "want one, of 1 to %d printable ASCII characters without space, quote or backslash", maxIdempotencyKey)
	}
	return key, nil
}

// claimed is what a key's record says.
type claimed struct {
	name, record string
	id           string // of the call, where its body has none: the same for every request with the key
	fresh        bool   // this is the first request
	answer       string // answerNew or answerKnown: that of the first request; "" where it is not known
}

// The answers to the first request with a key, if the call's body has an id.
const answerNew, answerKnown = "new", "known"

// keep notes the answer to the first request, so that a repeat gets the same. If that can't
// be noted, a repeat says that the call was there already, which is true by then.
func (i idempotency) keep(ctx context.Context, c claimed, answer string) {
	i.rdb.SetArgs(ctx, c.name, c.record+" "+answer, redis.SetArgs{Mode: "XX", KeepTTL: true})
}

// claim notes what is asked for under the key, or refuses it if it was something else before.
func (i idempotency) claim(ctx context.Context, who, key, fingerprint string) (claimed, error) {
	sum := sha256.Sum256([]byte(who + "\n" + key))
	name := i.prefix + ":idempotency:" + hex.EncodeToString(sum[:16])
	id := strings.ToLower(rand.Text())
	own := claimed{name: name, record: fingerprint + " " + id, id: id, fresh: true}
	// If the Redis client retries, it finds its own record below.
	fresh, err := i.rdb.SetNX(ctx, name, own.record, i.life).Result()
	if err != nil || fresh {
		return own, err
	}
	have, err := i.rdb.Get(ctx, name).Result() // redis.Nil if it went just now: then the caller asks again
	if err != nil || have == own.record {      // the reply to the first try was lost
		return own, err
	}
	said := append(strings.Fields(have), "", "")
	if said[0] != fingerprint {
		return claimed{}, refuse(keyUsed, "the body differs from that of the first request with this key; use another key for another call")
	}
	// A record of an older version has no id.
	return claimed{name: name, record: have, id: cmp.Or(said[1], key), answer: said[2]}, nil
}

// fingerprint tells calls apart. It uses the token's name, not the token.
func fingerprint(c engine.Call, tokenID string) string {
	at := ""
	if !c.At.IsZero() {
		at = c.At.UTC().Format(time.RFC3339Nano)
	}
	h := sha256.New()
	said := []string{c.Server, tokenID, fmt.Sprint(c.Licenses), c.Chain, c.Ref, c.ID, c.Batch, at}
	if c.Notify { // without it, the fingerprint is that of older versions
		said = append(said, "notify")
	}
	for _, s := range said {
		fmt.Fprintf(h, "%d:%s,", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}
