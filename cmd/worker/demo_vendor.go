package main

import (
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

// The tokens that the demo's vendor does not take as they are.
const (
	badPrefix  = "demo-bad-"  // not known to it
	usedPrefix = "demo-used-" // of whose quota of today usedLeft requests are left
	usedLeft   = 2
)

// The vendor of the demo, fast enough that all of it takes some seconds.
const (
	demoLatency    = 20 * time.Millisecond
	demoJitter     = 60 * time.Millisecond
	demoFaultEvery = 8 // calls
)

// demoPassing are the faults that the demo's vendor has: each passes when the call is
// tried again.
var demoPassing = [...]wolkvoxtest.Fault{
	{Kind: wolkvoxtest.Status500},
	{Kind: wolkvoxtest.Status502},
	{Kind: wolkvoxtest.Status503},
	{Kind: wolkvoxtest.TooMany, RetryAfter: "1"},
	{Kind: wolkvoxtest.HTML},
	{Kind: wolkvoxtest.Garbage},
	{Kind: wolkvoxtest.Cut},
	{Kind: wolkvoxtest.ResetBefore},
	{Kind: wolkvoxtest.ResetAfter},
	{Kind: wolkvoxtest.Slow, Delay: demoCallTimeout + 400*time.Millisecond},
}

// faultWords are the faults as the account tells them.
var faultWords = map[wolkvoxtest.Kind]string{
	wolkvoxtest.Status500:   "500, a server error",
	wolkvoxtest.Status502:   "502, a gateway's page",
	wolkvoxtest.Status503:   "503, not available",
	wolkvoxtest.TooMany:     "429, too many requests",
	wolkvoxtest.HTML:        "a page in place of an answer",
	wolkvoxtest.Garbage:     "an answer that can't be read",
	wolkvoxtest.Cut:         "an answer that was cut off",
	wolkvoxtest.ResetBefore: "a connection that broke before the work",
	wolkvoxtest.ResetAfter:  "a connection that broke after the work",
	wolkvoxtest.Slow:        "slower than the time-out",
}

func listenDemoVendor(plan *demoPlan, seed uint64, zone *time.Location) (*wolkvoxtest.Server, error) {
	return wolkvoxtest.Listen("127.0.0.1:0", wolkvoxtest.Options{
		Tokens: vendorTokens(plan), Script: demoFaults(seed), Seed: seed,
		Latency: demoLatency, Jitter: demoJitter, Code: wolkvoxtest.CodeMixed, Location: zone,
	})
}

// vendorTokens is what the vendor knows of the file's tokens: their licences are those of
// the file, the last value of each token.
func vendorTokens(plan *demoPlan) map[string]wolkvoxtest.Token {
	names := plan.operationNames()
	tokens := map[string]wolkvoxtest.Token{}
	for _, c := range plan.calls {
		t := tokens[c.Token]
		t.Operation = names[c.Token]
		if c.Licenses > 0 {
			t.Licenses = c.Licenses
		}
		t.Bad = strings.HasPrefix(c.Token, badPrefix)
		if strings.HasPrefix(c.Token, usedPrefix) {
			t.Used = max(t.Licenses, 1)*wolkvoxtest.RequestsPerLicense - usedLeft
		}
		tokens[c.Token] = t
	}
	return tokens
}

// demoFaults draws from the seed, the token and the number of its request, so that the
// order in which the tokens come changes nothing. A token that is out of quota has no
// other fault.
func demoFaults(seed uint64) wolkvoxtest.Script {
	return func(r wolkvoxtest.Request) wolkvoxtest.Fault {
		if strings.HasPrefix(r.Token, usedPrefix) {
			return wolkvoxtest.Fault{}
		}
		h := fnv.New64a()
		h.Write([]byte(r.Token))
		rng := rand.New(rand.NewPCG(seed, h.Sum64()+uint64(r.TokenNth)))
		if rng.IntN(demoFaultEvery) != 0 {
			return wolkvoxtest.Fault{}
		}
		return demoPassing[rng.IntN(len(demoPassing))]
	}
}

// demoZone is where the vendor's day begins: Bogota, unless it is about midnight there,
// which the demo does not wait for.
func demoZone(now time.Time) *time.Location {
	const day = 24 * time.Hour
	bogota := time.FixedZone("America/Bogota", -5*60*60)
	t := now.In(bogota)
	h, m, s := t.Clock()
	since := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	if since < time.Minute || since >= day-15*time.Minute {
		return time.FixedZone("UTC+7", 7*60*60)
	}
	return bogota
}
