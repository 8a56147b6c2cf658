package wolkvoxtest

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// Simulator is a simulated wolkvox, an http.Handler for any number of servers and tokens. New makes one; all its methods
// are safe for concurrent use. Listen and Start serve it over TCP.
type Simulator struct {
	opts Options
	stop chan struct{} // closed by Close: ends all work

	mu      sync.Mutex
	changed *sync.Cond // the account changed, or a waiter's context ended
	closed  bool
	working int // requests between arrival and the end of their handler
	seq     int64
	rng     *rand.Rand
	book    book
	journal journal
	states  map[string]*tokenState
	calls   map[string]int // requests of each call that passed the checks; nil with CountersOnly
	gate    gate
	tokens  map[string]Token // known ones
}

// tokenState is what the vendor remembers about a token, under Simulator.mu.
type tokenState struct {
	hash      string
	operation string
	inFlight  int
	passed    int // requests that passed the checks
	day       string
	count     int // requests seen on day
	used      int // requests of others on day
}

// New makes a simulator. If it may still work on a request when it is no longer needed, Close it.
func New(opts Options) *Simulator {
	s := &Simulator{
		opts:    opts.withDefaults(),
		stop:    make(chan struct{}),
		rng:     rand.New(rand.NewPCG(opts.Seed, 0x5851f42d4c957f2d)),
		book:    newBook(opts.CountersOnly),
		journal: journal{w: opts.Log},
		tokens:  map[string]Token{},
		states:  map[string]*tokenState{},
	}
	s.changed = sync.NewCond(&s.mu)
	maps.Copy(s.tokens, opts.Tokens)
	if !opts.CountersOnly {
		s.calls = map[string]int{}
	}
	return s
}

// SetToken sets what the vendor knows about a token from now on. Token.Used counts only for a token that was not seen
// before; see AddUsed.
func (s *Simulator) SetToken(token string, t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = t
}

// AddUsed counts n requests that somebody else made with the token today.
func (s *Simulator) AddUsed(token string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state(token, s.lookup(token), s.day(s.opts.Now())).used += n
}

// Account returns a copy of the account as it is now.
func (s *Simulator) Account() Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.clone()
}

// LogErr returns the first error of writing Options.Log, after which nothing more was written; nil if there was none.
func (s *Simulator) LogErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.err
}

// Wait blocks until cond holds and returns nil, or until ctx ends and returns its cause. It asks cond at once, and then
// after every arrival and end of a request. cond gets the live account, must not keep it, and runs under the
// simulator's lock.
func (s *Simulator) Wait(ctx context.Context, cond func(Account) bool) error {
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !cond(s.book.Account) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.changed.Wait()
	}
	return nil
}

// Close ends all work, as failed and with no answer, and returns when no handler works any more. Later requests get 503
// and are not recorded. Closing twice is fine. The account can still be read.
func (s *Simulator) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.stop)
		s.gate.open()
	}
	for s.working > 0 {
		s.changed.Wait()
	}
}

func (s *Simulator) day(t time.Time) string { return t.In(s.opts.Location).Format(time.DateOnly) }

// lookup returns what the vendor knows about a token.
func (s *Simulator) lookup(token string) Token {
	if t, ok := s.tokens[token]; ok {
		return t
	}
	t, ok := s.opts.TokenInfo(token)
	t.Bad = t.Bad || !ok
	return t
}

// state finds or makes the state of a token, on the given day.
func (s *Simulator) state(token string, t Token, day string) *tokenState {
	st := s.states[token]
	if st == nil {
		hash := TokenHash(token)
		st = &tokenState{hash: hash, operation: cmp.Or(t.Operation, "op-"+hash), day: day, used: t.Used}
		s.states[token] = st
	}
	if st.day != day {
		st.day, st.count, st.used = day, 0, 0
	}
	return st
}
