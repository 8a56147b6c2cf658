package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/quota"
)

// Producer enqueues calls. It is safe for concurrent use. Close it.
type Producer struct {
	*stack
	publisher publisher
	member    *membership.Membership
	living    context.Context // until Close
	stop      context.CancelFunc
	kept      sync.WaitGroup

	failed atomic.Pointer[error] // why the producer may enqueue no more

	asked    quota.Settings // as the options have them
	limiting sync.Mutex     // of the following
	limiter  *quota.Limiter
	joined   []*membership.Membership // that are kept
}

// NewProducer opens a producer on rdb, which stays the caller's to close. It makes the
// token-ID key where Redis has none, and joins the membership of the processes; it fails
// where the workers name tokens under another key.
func NewProducer(ctx context.Context, rdb redis.UniversalClient, o Options) (*Producer, error) {
	s, err := openStack(ctx, rdb, o, 0)
	if err != nil {
		return nil, err
	}
	member, err := s.registry.Join(ctx, membership.Self(membership.Producer), membership.Settings{membership.TokenIDKey: s.tokenIDs.Fingerprint()})
	if err != nil {
		return nil, err
	}
	p := &Producer{stack: s, publisher: publisher{asynq.NewClientFromRedisClient(rdb), s.queues, o.Tracer != nil}, member: member, asked: o.Quota}
	p.living, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.keep(member)
	p.kept.Go(func() { p.follow(p.living) })
	return p, nil
}

// keep keeps a membership until the producer is closed.
func (p *Producer) keep(m *membership.Membership) {
	p.joined = append(p.joined, m)
	p.kept.Go(func() {
		if err := m.Keep(p.living); err != nil && p.living.Err() == nil {
			p.fail(err)
		}
	})
}

// Close leaves the membership. It does not close the Redis client. A Limiter of the producer is
// not to be used any more.
func (p *Producer) Close() error {
	p.stop()
	p.kept.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	p.limiting.Lock()
	defer p.limiting.Unlock()
	var errs []error
	for _, m := range p.joined {
		errs = append(errs, m.Leave(ctx))
	}
	return errors.Join(errs...)
}

// usable says why the producer may enqueue no more, or nil.
func (p *Producer) usable() error {
	if err := p.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Receipt is the producer's proof that a call is in the ledger.
type Receipt struct {
	ID        string // of the call: for show, and for the vendor's support
	Batch     string // "" for a call of no batch
	TokenID   string // name of the token
	Chain     string // id of the chain
	Duplicate bool   // the call was there already
	// Due is when a call that is put off joins its chain; zero: it joined it at once. Of a
	// Duplicate it is what this request said, which changes nothing.
	Due time.Time
}

// Enqueue appends one call. When it returns without an error the call is in the ledger
// and will be made. After an error it may be in it or not: with an ID, enqueueing
// again is harmless. A *CallError says what is wrong with the call, a *ConflictError that its ID
// is known for a call that says otherwise, a *ledger.BatchError that its batch takes nothing.
func (p *Producer) Enqueue(ctx context.Context, c Call) (Receipt, error) {
	receipt, err := p.enqueue(ctx, c)
	if errors.Is(err, ledger.ErrLost) && p.restore(ctx, p.member, nobody) == nil {
		return p.enqueue(ctx, c) // nothing of it was there
	}
	return receipt, err
}

func (p *Producer) enqueue(ctx context.Context, c Call) (receipt Receipt, err error) {
	ctx, span := p.tracer.Start(ctx, "enqueue", trace.WithSpanKind(trace.SpanKindProducer))
	defer func() { endEnqueue(span, receipt, err) }()
	if err := c.check(-1); err != nil {
		return Receipt{}, err
	}
	if err := p.usable(); err != nil {
		return Receipt{}, err
	}
	id := ledger.BatchID(c.Batch)
	n := p.prepare(&c)
	n.Key = ledger.UniqueKey(newID())
	if c.ID != "" {
		n.Key = ledger.GivenKey(c.ID)
		if err := p.ledger.Index(ctx, []ledger.Given{{ID: c.ID, Batch: id, Token: n.Token}}); err != nil {
			return Receipt{}, err
		}
	}
	done, err := p.append(ctx, &c, id, n)
	if err != nil {
		return Receipt{}, err
	}
	landed := done.Received[0]
	if len(landed.Have) > 0 {
		return Receipt{}, conflictOf(c.Batch, &landed.Have[0], 0, n.Server, ledger.ChainID(n.Token, n.Chain), nil)
	}
	for _, f := range done.Dispatches {
		// A chain that can't be dispatched now is found by a worker; the call is safe.
		if p.publisher.publish(ctx, f) == nil {
			_ = p.ledger.Signal(ctx, time.UnixMilli(0), ledger.TaskReady) // before all buckets: it is one call
		}
	}
	// Ready for others too: chains that waited, and those of its token that more licences wake.
	if len(done.Ready) > 0 {
		_ = p.ledger.Signal(ctx, p.clock.Now(), done.Ready...)
	}
	var due time.Time
	if c.At.After(p.clock.Now()) {
		due = c.At
	}
	return Receipt{
		ID: ledger.CallID(id, n.Token, n.Key), Batch: c.Batch, TokenID: n.Token,
		Chain: ledger.ChainID(n.Token, n.Chain), Duplicate: c.ID != "" && ledger.Landing(landed.Landings[0]).Known(), Due: due,
	}, nil
}

// appendOnce appends one call. The reply of an append may be lost, and the client's own second try then
// finds the call that the first one made: what was looked at before tells it from a call that was
// there. A key of its own (not given) needs no look.
func (p *Producer) appendOnce(ctx context.Context, a ledger.Append, given bool) (ledger.Appended, error) {
	if given {
		look := a
		look.AtOnce, look.Look = false, true
		seen, err := p.ledger.Append(ctx, look)
		if err != nil {
			return seen, err
		}
		a.Looked = ledger.Landing(seen.Received[0].Landings[0]) == ledger.Fresh
	}
	return p.ledger.Append(ctx, a)
}

// TokenID is the name of a token, as receipts and reports have it: its HMAC, which tells
// nothing of the token.
func (p *Producer) TokenID(token Token) string { return p.tokenIDs.Name(string(token)) }

// append appends one call, to be dispatched at once. It joins its batch under whatever policy
// that has; if the batch is deleted meanwhile it makes it anew.
func (p *Producer) append(ctx context.Context, c *Call, id string, n ledger.NewCall) (done ledger.Appended, err error) {
	a := ledger.Append{Batch: id, Policy: string(ledger.PolicyHold), AtOnce: true, Calls: []ledger.NewCall{n}}
	for range appendTries {
		if c.Batch != "" {
			if err = p.join(ctx, c, &a); errors.Is(err, ledger.ErrNoBatch) {
				continue
			}
			if err != nil {
				return done, err
			}
		}
		if done, err = p.appendOnce(ctx, a, c.ID != ""); !errors.Is(err, ledger.ErrLate) {
			break
		}
	}
	if errors.Is(err, ledger.ErrCancelled) {
		err = &ledger.BatchError{Batch: c.Batch, Problem: ledger.BatchCancelled}
	}
	return done, err
}

// appendTries is how often a single call tries to join a batch that is deleted meanwhile.
const appendTries = 5

func (p *Producer) join(ctx context.Context, c *Call, a *ledger.Append) error {
	meta, _, err := p.batches.Ensure(ctx, ledger.Batch{ID: a.Batch, Name: c.Batch, Created: p.clock.Now()})
	if err != nil {
		return err
	}
	if meta.Cancelled {
		return &ledger.BatchError{Batch: c.Batch, Problem: ledger.BatchCancelled}
	}
	a.Policy = string(meta.Policy)
	a.Until, err = p.batches.Note(ctx, meta, []string{ledger.Tag(a.Calls[0].Token)})
	return err
}

// prepare names and seals the call's token.
func (p *Producer) prepare(c *Call) ledger.NewCall {
	token := p.tokenIDs.Name(string(c.Token))
	return newCall(c, token, string(p.keys.Seal(string(c.Token), token)))
}

func newCall(c *Call, token, sealed string) ledger.NewCall {
	return ledger.NewCall{
		Token: token, Chain: c.Chain, Server: c.Server, Ref: c.Ref, Licenses: c.Licenses, Sealed: sealed, At: c.At, Notify: c.Notify,
	}
}

// remembered is how many tokens a sealer remembers. Rows of a token stand together as a
// rule, or come by turns.
const remembered = 1024

// sealer names and seals tokens, and remembers those that it saw of late: naming and
// sealing is most of what a producer does for a call. It is for one goroutine, and is
// thrown away with its batch.
type sealer struct {
	p    *Producer
	seed maphash.Seed
	last [remembered]sealedToken
}

type sealedToken struct {
	token        Token
	name, sealed string
}

func newSealer(p *Producer) *sealer { return &sealer{p: p, seed: maphash.MakeSeed()} }

func (s *sealer) prepare(c *Call) ledger.NewCall {
	known := &s.last[maphash.String(s.seed, string(c.Token))%remembered]
	if known.token != c.Token || known.name == "" {
		n := s.p.prepare(c)
		*known = sealedToken{c.Token, n.Token, n.Sealed}
		return n
	}
	return newCall(c, known.name, known.sealed)
}

// The shared settings of the limits. All that grant requests agree on them.
const (
	settingSlots           = "TOKEN_SLOTS"
	settingCallTimeout     = "CALL_TIMEOUT"
	settingVendorTimeout   = "VENDOR_TIMEOUT"
	settingSlotMargin      = "SLOT_MARGIN"
	settingZone            = "QUOTA_TIMEZONE"
	settingDefaultLicenses = "DEFAULT_LICENSES"
	settingGuard           = "QUOTA_GUARD"
)

// Limiter is for a program that sends requests of its own with tokens for which workers make
// calls: it grants under the same slots and the same count of the day. Its names of tokens
// are those of TokenID.
//
// Settings that the options leave at zero are those of the workers that run; where none
// does, the defaults. Others must be those of the workers: else the error is a
// *membership.MismatchError, and likewise for a worker that starts later with others.
// Every call returns the same Limiter, which holds until the producer is closed.
func (p *Producer) Limiter(ctx context.Context) (*quota.Limiter, error) {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	if err := p.usable(); err != nil {
		return nil, err
	}
	if p.limiter != nil {
		return p.limiter, nil
	}
	settings, err := p.registry.Settings(ctx)
	if err != nil {
		return nil, err
	}
	s, settings, err := limits(p.asked, settings, p.tokenIDs.Fingerprint())
	if err != nil {
		return nil, err
	}
	s.Prefix = p.prefix
	l, err := quota.New(p.rdb, s)
	if err != nil {
		return nil, err
	}
	member, err := p.registry.Join(ctx, membership.Self(membership.Limiter), settings)
	if err != nil {
		return nil, err
	}
	p.keep(member)
	p.limiter = l
	return l, nil
}

// AgreedLimits are the limits by which the workers of a Redis go; those asked for, if none runs.
func AgreedLimits(ctx context.Context, rdb redis.UniversalClient, prefix string, asked quota.Settings) (quota.Settings, error) {
	agreed, err := membership.New(rdb, prefix).Settings(ctx)
	if err != nil || agreed[settingSlots] == "" {
		return asked, err
	}
	s, _, err := limits(quota.Settings{}, agreed, "")
	return s, err
}

// sharedSettings are those of the limits, and of the token-ID key, by its fingerprint.
func sharedSettings(s quota.Settings, key string, call, vendor, margin time.Duration) membership.Settings {
	return membership.Settings{
		membership.TokenIDKey:  key,
		settingSlots:           fmt.Sprint(s.Slots),
		settingCallTimeout:     call.String(),
		settingVendorTimeout:   vendor.String(),
		settingSlotMargin:      margin.String(),
		settingZone:            s.Location.String(),
		settingDefaultLicenses: fmt.Sprint(s.DefaultLicenses),
		settingGuard:           s.Guard.String(),
	}
}

// limits fills in what was not asked for: from the shared settings that others agreed on, or with the
// defaults. The shared settings that it returns are those of the settings.
func limits(asked quota.Settings, agreed membership.Settings, key string) (quota.Settings, membership.Settings, error) {
	// What can't be read is not what the settings come to, so the others refuse it.
	number := func(name string) int { n, _ := strconv.Atoi(agreed[name]); return n }
	span := func(name string, or time.Duration) time.Duration {
		d, _ := time.ParseDuration(agreed[name])
		return cmp.Or(d, or)
	}
	o := WorkerOptions{}.WithDefaults()
	call, vendor, margin := span(settingCallTimeout, o.CallTimeout), span(settingVendorTimeout, o.VendorTimeout), span(settingSlotMargin, o.SlotMargin)
	lease := max(call, vendor) + margin
	if asked.Lease != 0 && asked.Lease != lease {
		return asked, nil, fmt.Errorf("Quota.Lease is %v, and the lease of a slot is %v, from CALL_TIMEOUT, VENDOR_TIMEOUT and SLOT_MARGIN: leave it at zero", asked.Lease, lease)
	}
	s := asked
	s.Lease, s.Slots, s.DefaultLicenses = lease, cmp.Or(s.Slots, number(settingSlots)), cmp.Or(s.DefaultLicenses, number(settingDefaultLicenses))
	s.Guard = cmp.Or(s.Guard, span(settingGuard, 0))
	if zone := agreed[settingZone]; s.Location == nil && zone != "" && zone != quota.DefaultLocation {
		var err error
		if s.Location, err = time.LoadLocation(zone); err != nil {
			return s, nil, fmt.Errorf("what others agreed on as %s: %w", settingZone, err)
		}
	}
	s, err := s.WithDefaults()
	if err != nil {
		return s, nil, err
	}
	return s, sharedSettings(s, key, call, vendor, margin), nil
}
