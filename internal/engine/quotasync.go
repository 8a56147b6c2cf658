package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/wolkvox"
)

// slotPatience is how long a sync tries to get a slot of a token, and slotRetry how often.
const (
	slotPatience = 10 * time.Second
	slotRetry    = 200 * time.Millisecond
)

// QuotaSync asks the vendor for its own count of a token's requests, and raises ours if it is lower.
// Each question takes a grant as a call's request does: a slot, and one request of the day's quota.
// While it is open, it and the workers agree on the limits. It is not for concurrent use. Close it.
type QuotaSync struct {
	*stack
	o        WorkerOptions
	vendor   *wolkvox.Client
	limiter  *quota.Limiter
	member   *membership.Membership
	stop     func() // of what keeps the membership
	breakers *breaker.Store
	restarts atomic.Int64
	patience time.Duration // for a slot
}

// Synced is what a sync of one token found.
type Synced struct {
	TokenID string `json:"token_id"`
	Server  string `json:"server"` // that was asked
	// VendorUsed and VendorLimit are the vendor's count and limit, this request included.
	VendorUsed  int `json:"vendor_used"`
	VendorLimit int `json:"vendor_limit"`
	// Before and After are our counts of the day, this request and others in flight included.
	Before int `json:"used_before"`
	After  int `json:"used_after"`
	Limit  int `json:"quota"` // ours: licences x 1000
	// Difference is the vendor's count minus ours at this request's grant: the drift.
	Difference int `json:"drift"`
}

// NotAskedError says why the vendor was not asked about a token: nothing was sent.
type NotAskedError struct{ Why string }

// Error says why.
func (e *NotAskedError) Error() string { return "not asked: " + e.Why }

// OpenQuotaSync connects to o.RedisURL. It fails if living workers have other limits
// (*membership.MismatchError), or if Redis restarted and may not know of requests in flight.
func OpenQuotaSync(ctx context.Context, o WorkerOptions) (_ *QuotaSync, err error) {
	o = o.WithDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	q := &QuotaSync{o: o, patience: slotPatience}
	if q.vendor, err = o.vendor(); err != nil {
		return nil, err
	}
	watch := redisconn.NewRestartWatch(func(context.Context, *redis.Conn, redisconn.Change) { q.restarts.Add(1) })
	rdb, err := redisconn.Open(o.RedisURL, redisconn.Options{Watch: watch, Dialer: o.RedisDialer})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, rdb.Close())
		}
	}()
	if q.stack, err = openStack(ctx, rdb, o.Options, o.MaxAttempts); err != nil {
		return nil, err
	}
	if q.limiter, err = quota.New(rdb, q.settings); err != nil {
		return nil, err
	}
	if err := q.checkRestart(ctx, watch); err != nil {
		return nil, err
	}
	q.breakers = breaker.New(rdb, q.prefix)
	q.member, err = q.registry.Join(ctx, membership.Self(membership.QuotaSync), o.sharedSettings(q.stack))
	if err != nil {
		return nil, err
	}
	// A request may last longer than a membership without a heartbeat.
	q.stop = Background(context.WithoutCancel(ctx), func(keep context.Context) {
		_ = q.member.Keep(keep) // a disagreement is found by Sync too
	})
	return q, nil
}

// checkRestart refuses a Redis process that no worker has seen yet: it may have lost slots that
// are held. The epoch of each bucket has what the workers found, and a grant reads it.
func (q *QuotaSync) checkRestart(ctx context.Context, watch *redisconn.RestartWatch) error {
	// A shard that can't be read grants nothing: its tokens are not asked about.
	out, err := q.look(ctx)
	if !redisconn.Partly(err) {
		return err
	}
	run := runOf(ctx, q.ledger, watch.RunIDs())
	for _, e := range out.all {
		if now := run(e.Tag); out.lost != "" || now != "" && e.Run != "" && now != e.Run {
			return errors.New("no worker has seen yet that Redis restarted, or that another node took over: start one, then run this again")
		}
	}
	return nil
}

// Close leaves the membership and closes the connections.
func (q *QuotaSync) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	q.vendor.CloseIdle()
	q.stop()
	return errors.Join(q.member.Leave(ctx), q.rdb.Close())
}

// Note writes down the highest drift of a sync, for the metrics of the workers.
func (q *QuotaSync) Note(ctx context.Context, highest int) error {
	return q.note(ctx, syncNote, syncResult{q.clock.Now().UnixMilli(), highest}, syncKept)
}

// Sync asks a server for its count of a token. A *NotAskedError says why nothing was sent; other
// errors are those of Redis and of the vendor's client. After an unknown outcome the slot stays
// taken until its lease ends.
func (q *QuotaSync) Sync(ctx context.Context, tokenID, server string) (Synced, error) {
	out := Synced{TokenID: tokenID, Server: server}
	token, err := q.open(ctx, tokenID)
	if err != nil {
		return out, err
	}
	if err := q.mayAsk(ctx, tokenID, server); err != nil {
		return out, err
	}
	// A process whose membership lapsed must not ask: others may have agreed on other limits.
	if err := q.member.Renew(ctx); err != nil {
		return out, err
	}
	g, asked, err := q.grant(ctx, tokenID)
	if err != nil {
		return out, err
	}
	// What is known is written down even if the command is stopped.
	keep := context.WithoutCancel(ctx)
	switch {
	case q.restarts.Load() > 0:
		return out, errors.Join(&NotAskedError{"Redis restarted, or another node took over"}, q.limiter.GiveBack(keep, g))
	case !g.OneDay():
		return out, errors.Join(&NotAskedError{"too close to midnight to tell which day the vendor counts"}, q.limiter.GiveBack(keep, g))
	}
	use, err := q.vendor.AskTokenUse(ctx, &wolkvox.Request{
		Server: wolkvox.Server(server), Token: token, ID: "quota-sync-" + newID() + ".1", WriteBy: asked.Add(q.o.SlotMargin),
	})
	switch {
	case redisconn.Is[*wolkvox.NotSentError](err):
		return out, errors.Join(err, q.limiter.GiveBack(keep, g))
	case redisconn.Is[*wolkvox.UnknownOutcomeError](err):
		return out, err // the vendor may work on it still
	case err == nil:
		out.VendorUsed, out.VendorLimit, out.Difference, out.Limit = use.Used, use.Limit, use.Used-g.Used, g.Limit
		out.Before, out.After, err = q.limiter.Raise(keep, g, use.Used)
	}
	return out, errors.Join(err, q.limiter.Release(keep, g))
}

// mayAsk refuses what a worker would put off: a server that is down, a token that cools down.
func (q *QuotaSync) mayAsk(ctx context.Context, tokenID, server string) error {
	all, err := q.breakers.Servers(ctx, time.Time{})
	if err != nil {
		return err
	}
	for _, h := range all {
		if h.Server == server && h.State != breaker.Closed {
			return &NotAskedError{"server " + server + " is left alone: `enqueue servers`"}
		}
	}
	u, err := q.limiter.Peek(ctx, tokenID)
	if err != nil {
		return err
	}
	if !u.CoolingUntil.IsZero() {
		return &NotAskedError{"the token cools down: " + wolkvox.Kind(u.CoolingWhy).Cooling()}
	}
	return nil
}

func (q *QuotaSync) open(ctx context.Context, tokenID string) (string, error) {
	sealed, err := q.ledger.Sealed(ctx, tokenID)
	if err != nil {
		return "", err
	}
	if sealed == "" {
		return "", &NotAskedError{"no call of the token is kept, so it is not known any more"}
	}
	token, err := q.keys.Open([]byte(sealed), tokenID)
	if err != nil {
		return "", fmt.Errorf("HABILITA_KEYS do not open the token: %w", err)
	}
	return token, nil
}

// grant asks for a slot until one is free, for a while. asked is from before the grant.
func (q *QuotaSync) grant(ctx context.Context, tokenID string) (quota.Grant, time.Time, error) {
	for end := time.Now().Add(q.patience); ; wait(ctx, slotRetry) {
		if err := ctx.Err(); err != nil {
			return quota.Grant{}, time.Time{}, err
		}
		asked := time.Now()
		d, err := q.limiter.Try(ctx, tokenID)
		switch {
		case err != nil:
			return quota.Grant{}, asked, err
		case d.Granted:
			return d.Grant, asked, nil
		case d.Reason != quota.ReasonSlots || !time.Now().Before(end):
			why := (&quota.NotNowError{Decision: d}).Error()
			return quota.Grant{}, asked, &NotAskedError{why}
		}
	}
}

// Servers finds a server of each token among its calls, the newest batch first. A token
// that has no call on record has none. tokens nil: all that the ledger knows; batchName "": any batch. If only
// a part of a Redis Cluster answers, it returns what that part has, and a *redisconn.UnreadError for the rest.
func (q *QuotaSync) Servers(ctx context.Context, tokens []string, batchName string) (map[string]string, error) {
	var unread error
	// partly notes what could not be read; false: it is another error.
	partly := func(err error) bool {
		if err != nil {
			unread = errors.Join(unread, err)
		}
		return redisconn.Partly(err)
	}
	found := map[string]string{}
	byBatch := batchName != ""
	if tokens == nil && !byBatch {
		var err error
		if tokens, err = q.ledger.Tokens(ctx); !partly(err) {
			return nil, err
		}
	}
	wanted, ofTag := map[string]bool{}, map[string]int{}
	for _, t := range tokens {
		wanted[t] = true
		ofTag[ledger.Tag(t)]++
	}
	ids := []string{ledger.BatchID(batchName)}
	if !byBatch {
		all, err := q.batches.List(ctx)
		if !redisconn.Partly(err) && ctx.Err() == nil {
			err = redisconn.Unreadable(redisconn.Batches, "all of the list", err)
		}
		if !partly(err) {
			return nil, err
		}
		ids = nil
		for _, b := range all {
			ids = append(ids, b.ID)
		}
		ids = append(ids, ledger.NoBatch)
	}
	down := map[string]bool{}
	for _, id := range ids {
		tags, err := q.batches.Tags(ctx, id)
		if err != nil && !byBatch && ctx.Err() == nil {
			err = redisconn.Unreadable(redisconn.Batches, id, err)
		}
		if !partly(err) {
			return nil, err
		}
		for _, tag := range tags {
			if !byBatch && ofTag[tag] == 0 || down[tag] {
				continue
			}
			for c, err := range q.ledger.Calls(ctx, id, []string{tag}) {
				if !partly(err) {
					return nil, err
				}
				if err != nil {
					down[tag] = true
					continue
				}
				if found[c.TokenID] != "" || !byBatch && !wanted[c.TokenID] {
					continue
				}
				found[c.TokenID] = c.Server
				if ofTag[tag]--; !byBatch && ofTag[tag] == 0 {
					break
				}
			}
		}
	}
	return found, unread
}
