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
	limits   *quota.Settings
	joined   []*membership.Membership // that are kept
}

// NewProducer opens a producer on rdb, which the caller closes. It makes the token-ID key
// if Redis has none, and joins the membership of the processes. It fails if the workers
// have another token-ID key.
func NewProducer(ctx context.Context, rdb redis.UniversalClient, o Options) (*Producer, error) {
	s, err := openStack(ctx, rdb, o, 0)
	if err != nil {
		return nil, err
	}
	member, err := s.registry.Join(ctx, membership.Self(membership.Producer, s.keys.IDs()...), membership.Settings{membership.TokenIDKey: s.tokenIDs.Fingerprint()})
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

// Close leaves the membership. It does not close the Redis client. The producer's Limits must
// not be used afterwards.
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
	// Due is when a call that is put off joins its chain; zero: it has joined. For a
	// Duplicate it is the time of the call that is there.
	Due time.Time
}

// Enqueue appends one call. If it returns no error, the call is in the ledger and will be
// made. After an error it may be there or not: with an ID, enqueueing again is harmless. A
// *CallError says what is wrong with the call, a *ConflictError that its ID belongs to a call
// that differs, a *ledger.BatchError that its batch takes nothing.
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
		// If the chain can't be published now, a worker finds it; the call is safe.
		if p.publisher.publish(ctx, f) == nil {
			_ = p.ledger.Signal(ctx, time.UnixMilli(0), ledger.TaskReady) // before all buckets: it is one call
		}
	}
	// Other chains may be ready too: those that waited, and those of this token that more licences wake.
	if len(done.Ready) > 0 {
		_ = p.ledger.Signal(ctx, p.clock.Now(), done.Ready...)
	}
	duplicate := c.ID != "" && ledger.Landing(landed.Landings[0]).Known()
	var due time.Time
	if duplicate {
		if due, err = p.ledger.Due(ctx, id, n.Token, n.Key); err != nil {
			return Receipt{}, err
		}
	} else if c.At.After(p.clock.Now()) {
		due = c.At
	}
	return Receipt{
		ID: ledger.CallID(id, n.Token, n.Key), Batch: c.Batch, TokenID: n.Token,
		Chain: ledger.ChainID(n.Token, n.Chain), Duplicate: duplicate, Due: due,
	}, nil
}

// appendOnce appends one call. If the reply is lost, the client's own second try finds the call that the
// first one appended. A look beforehand tells that from a call that was there already. A key that is
// unique (not given) needs no look.
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

// TokenID is the name of a token, as receipts and reports show it: its HMAC, which reveals
// nothing about the token.
func (p *Producer) TokenID(token Token) string { return p.tokenIDs.Name(string(token)) }

// append appends one call, to be dispatched at once. The call joins its batch under the policy that
// the batch has. If the batch is deleted meanwhile, append makes it again.
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

// remembered is how many tokens a sealer remembers. As a rule, the rows of a token stand
// together, or tokens alternate.
const remembered = 1024

// sealer names and seals tokens, and remembers those that it saw lately: naming and
// sealing is most of a producer's work for a call. It is for one goroutine and one batch.
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

// The shared settings of the limits. All processes that grant requests agree on them.
const (
	settingSlots           = "TOKEN_SLOTS"
	settingCallTimeout     = "CALL_TIMEOUT"
	settingVendorTimeout   = "VENDOR_TIMEOUT"
	settingSlotMargin      = "SLOT_MARGIN"
	settingZone            = "QUOTA_TIMEZONE"
	settingDefaultLicenses = "DEFAULT_LICENSES"
	settingGuard           = "QUOTA_GUARD"
)

// Limits are for the limiter of a program that sends its own requests with tokens that workers use too: it
// grants from the same slots and the same count of the day. It names tokens as TokenID does.
//
// Settings that the options leave at zero are those of the running workers, or the defaults
// if none runs. The others must equal the workers': if not, the error is a
// *membership.MismatchError, and a worker that starts later with other settings gets one too.
// Every call returns the same limits, which hold until the producer is closed.
func (p *Producer) Limits(ctx context.Context) (quota.Settings, error) {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	if err := p.usable(); err != nil {
		return quota.Settings{}, err
	}
	if p.limits != nil {
		return *p.limits, nil
	}
	settings, err := p.registry.Settings(ctx)
	if err != nil {
		return quota.Settings{}, err
	}
	s, settings, err := limits(p.asked, settings, p.tokenIDs.Fingerprint())
	if err != nil {
		return quota.Settings{}, err
	}
	s.Prefix = p.prefix
	member, err := p.registry.Join(ctx, membership.Self(membership.Limiter), settings)
	if err != nil {
		return quota.Settings{}, err
	}
	p.keep(member)
	p.limits = &s
	return s, nil
}

// AgreedLimits are the limits that the workers of a Redis use; those asked for, if none runs.
func AgreedLimits(ctx context.Context, rdb redis.UniversalClient, prefix string, asked quota.Settings) (quota.Settings, error) {
	agreed, err := membership.New(rdb, prefix).Settings(ctx)
	if err != nil || agreed[settingSlots] == "" {
		return asked, err
	}
	s, _, err := limits(quota.Settings{}, agreed, "")
	return s, err
}

// sharedSettings are the shared settings of the limits, and the token-ID key's fingerprint.
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
// defaults. It also returns the result as shared settings.
func limits(asked quota.Settings, agreed membership.Settings, key string) (quota.Settings, membership.Settings, error) {
	// A value that can't be read differs from what is used instead, so the others refuse that.
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
