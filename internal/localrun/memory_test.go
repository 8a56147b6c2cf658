package localrun

import (
	"testing"
	"time"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

const aChain = "abcdefghijklmnopqrstuvwx"

func replay(t *testing.T, records ...record) *memory {
	t.Helper()
	raw := [][]byte{}
	all := append([]record{{Type: typeHead, At: 1, Head: &head{Version: version, Policy: "hold"}}}, records...)
	for _, r := range all {
		raw = append(raw, r.encode())
	}
	m, err := remember(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func granted(nonce string, attempt, spent int, change func(a *ledger.Attempt)) record {
	at := time.UnixMilli(int64(1000 * attempt))
	g := ledger.Attempt{
		Chain: aChain, Key: "-0", Nonce: nonce, Number: attempt, Spent: spent,
		LeaseEnds: at.Add(time.Minute), Days: "20261123,20261124",
	}
	if change != nil {
		change(&g)
	}
	return grantRecord(&g, at)
}

func ended(nonce string, kind ledger.Kind, slot ledger.Slot) record {
	return endRecord(engine.Recorded{
		Attempt: &ledger.Attempt{Chain: aChain, Key: "-0", Nonce: nonce},
		Outcome: ledger.Outcome{Kind: kind, Slot: slot, Code: "500", Msg: "m", Err: "e"},
		At:      time.UnixMilli(5000), RetryAt: time.UnixMilli(9000),
	})
}

// Each outcome leaves what the ledger would have kept.
func TestReplay(t *testing.T) {
	first := granted("n1", 1, 1, nil)
	for name, c := range map[string]struct {
		records                  []record
		state                    string
		attempts, spent, failure int
		push, quiet              int64
		leases, used             int
	}{
		"in flight":  {[]record{first}, ledger.RestoreInFlight, 1, 1, 0, 0, 0, 1, 1},
		"succeeded":  {[]record{first, ended("n1", ledger.Done, ledger.Release)}, ledger.RestoreSucceeded, 1, 1, 0, 0, 0, 0, 1},
		"failed":     {[]record{first, ended("n1", ledger.Fail, ledger.Release)}, ledger.RestoreWaiting, 1, 1, 1, 0, 0, 0, 1},
		"unknown":    {[]record{first, ended("n1", ledger.Fail, ledger.Keep)}, ledger.RestoreWaiting, 1, 1, 1, 0, 61000, 1, 1},
		"push-back":  {[]record{first, ended("n1", ledger.PushBack, ledger.Release)}, ledger.RestoreWaiting, 1, 0, 1, 5000, 0, 0, 1},
		"not sent":   {[]record{first, ended("n1", ledger.NotSent, ledger.GiveBack)}, ledger.RestoreWaiting, 0, 0, 1, 5000, 0, 0, 0},
		"late":       {[]record{first, ended("n1", ledger.Late, ledger.GiveBack)}, ledger.RestoreWaiting, 0, 0, 0, 0, 0, 0, 0},
		"given up":   {[]record{first, ended("n1", ledger.GiveUp, ledger.Release)}, ledger.RestoreGivenUp, 1, 1, 0, 0, 0, 0, 1},
		"retried":    {[]record{first, ended("n1", ledger.GiveUp, ledger.Release), {Type: typeRetry, At: 6000}}, ledger.RestoreWaiting, 1, 0, 0, 0, 0, 0, 1},
		"skipped":    {[]record{first, ended("n1", ledger.GiveUp, ledger.Release), {Type: typeSkip, At: 6000}}, ledger.RestoreSkipped, 1, 1, 0, 0, 0, 0, 1},
		"unopenable": {[]record{ended("n1", ledger.GiveUp, ledger.GiveBack)}, ledger.RestoreGivenUp, 0, 0, 0, 0, 0, 0, 0},
		"overtaken":  {[]record{first, ended("n2", ledger.Late, ledger.GiveBack)}, ledger.RestoreInFlight, 1, 1, 0, 0, 0, 1, 1},
		// A crash, and the same call again after the lease.
		"twice":        {[]record{first, granted("n2", 2, 2, nil)}, ledger.RestoreInFlight, 2, 2, 0, 0, 0, 2, 2},
		"late failure": {[]record{first, granted("n2", 2, 2, nil), ended("n1", ledger.Fail, ledger.Release)}, ledger.RestoreInFlight, 2, 2, 0, 0, 0, 1, 2},
		"late success": {[]record{first, granted("n2", 2, 2, nil), ended("n1", ledger.Done, ledger.Release)}, ledger.RestoreSucceeded, 2, 2, 0, 0, 0, 1, 2},
	} {
		m := replay(t, c.records...)
		call, tok := m.calls[0], m.tokens[aChain]
		if call.State != c.state || call.Attempts != c.attempts || call.Spent != c.spent || call.Failures != c.failure ||
			redisconn.Millis(call.FirstPushBack) != c.push || redisconn.Millis(call.QuarantinedUntil) != c.quiet {
			t.Errorf("%s: %+v", name, *call)
		}
		if len(tok.Leases) != c.leases || tok.Used["20261123"] != c.used || tok.Used["20261124"] != c.used {
			t.Errorf("%s: %+v", name, tok.Restored)
		}
	}
}

// A cool-down holds until it is lifted.
func TestReplayCooling(t *testing.T) {
	cool := ended("n1", ledger.PushBack, ledger.Release)
	cool.End.CoolUntil, cool.End.CoolWhy = 100_000, "closed"
	lift := ended("n2", ledger.Done, ledger.Release)
	lift.End.CoolLift = true
	m := replay(t, granted("n1", 1, 1, nil), cool, granted("n2", 2, 1, nil))
	if c := m.tokens[aChain].cooling; c == nil || c.CoolUntil != 100_000 {
		t.Errorf("%+v", c)
	}
	if m = replay(t, granted("n1", 1, 1, nil), cool, granted("n2", 2, 1, nil), lift); m.tokens[aChain].cooling != nil {
		t.Error("it cools still")
	}
}

// A record that this program does not know is refused, not guessed.
func TestReplayRefuses(t *testing.T) {
	for _, raw := range []string{"{", `{"t":"new"}`, `{"t":"grant"}`, `{"t":"head","head":{"v":3},"file":{}}`, `{"t":"head","head":{"v":1}}`, `{"t":"rows","rows":"AAAA"}`} {
		if _, err := remember([][]byte{[]byte(raw)}); err == nil {
			t.Errorf("%s was taken", raw)
		}
	}
}
