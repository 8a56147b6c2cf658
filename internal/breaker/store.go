package breaker

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

//go:embed lua/*.lua
var sources embed.FS

// ErrUnknownServer says that no worker has called that server lately.
var ErrUnknownServer = errors.New("no such server is known")

// State is the state of a server.
type State string

// The states of a server.
const (
	Closed   State = "closed"    // well: calls are made
	Open     State = "open"      // down: calls are put off
	HalfOpen State = "half_open" // a probe is under way
)

// A server counts as down after openFailures failures in a row, over all workers, of at least openChains chains.
const openFailures, openChains = 5, 2

// Window is for how long requests are counted, at least; it is at most twice as long.
const Window = 5 * time.Minute

// ServerStatus is the state of a server, and how its last requests ended.
type ServerStatus struct {
	Server    string    `json:"server"`
	State     State     `json:"state"`
	Since     time.Time `json:"since"`      // of the state; half open counts as open
	NextProbe time.Time `json:"next_probe"` // of an open server; zero: it is closed
	Requests  int       `json:"requests"`   // of the last 5 to 10 minutes
	Failures  int       `json:"failures"`   // of these: no connection, no answer, 5xx, nonsense
	InARow    int       `json:"in_a_row"`   // failures since its last answer
}

// Store is the state of all servers. It is safe for concurrent use.
type Store struct {
	rdb                   redis.UniversalClient
	key                   string
	firstProbe, mostProbe time.Duration // after it opened, and the distance of probes at most
	report, probe, lift   redisconn.Script
}

// New makes a Store on keys that begin with the prefix; "" is "habilita". It does not own
// the client, and asks nothing of Redis yet.
func New(rdb redis.UniversalClient, prefix string) *Store {
	return &Store{
		rdb: rdb, key: cmp.Or(prefix, "habilita") + ":{health}:servers", firstProbe: 2 * time.Second, mostProbe: time.Minute,
		report: redisconn.Alone(sources, "report"), probe: redisconn.Alone(sources, "probe"), lift: redisconn.Alone(sources, "lift"),
	}
}

// kept is a server's state as the scripts write it.
type kept struct {
	State State

	Since, Next, Run, W, Req, Fail, Preq, Pfail float64
}

// Servers are all servers that workers have called, by name. now is the time of Redis, for
// the window; if it is zero, Servers asks Redis.
func (s *Store) Servers(ctx context.Context, now time.Time) ([]ServerStatus, error) {
	if now.IsZero() {
		var err error
		if now, err = s.rdb.Time(ctx).Result(); err != nil {
			return nil, fmt.Errorf("breaker: %w", err)
		}
	}
	all, err := s.rdb.HGetAll(ctx, s.key).Result()
	if err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	out := make([]ServerStatus, 0, len(all))
	for name, text := range all {
		var k kept
		if err := json.Unmarshal([]byte(text), &k); err != nil {
			return nil, fmt.Errorf("breaker: state of server %s: %w", name, err)
		}
		h := ServerStatus{Server: name, State: k.State, Since: redisconn.Time(int64(k.Since)).UTC(), InARow: int(k.Run)}
		if k.State != Closed {
			h.NextProbe = redisconn.Time(int64(k.Next)).UTC()
		}
		switch window := float64(now.UnixMilli() / Window.Milliseconds()); k.W {
		case window:
			h.Requests, h.Failures = int(k.Req+k.Preq), int(k.Fail+k.Pfail)
		case window - 1:
			h.Requests, h.Failures = int(k.Req), int(k.Fail)
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b ServerStatus) int { return strings.Compare(a.Server, b.Server) })
	return out, nil
}

// Lift closes the breaker of a server, so that calls are made again at once. wasOpen is
// false if it was closed already. The error is ErrUnknownServer if no worker has called it.
func (s *Store) Lift(ctx context.Context, server string) (wasOpen bool, err error) {
	n, err := s.lift().Run(ctx, s.rdb, []string{s.key}, server).Int()
	if err != nil {
		return false, fmt.Errorf("breaker: %w", err)
	}
	if n < 0 {
		return false, fmt.Errorf("%w: %q", ErrUnknownServer, server)
	}
	return n == 1, nil
}

// seen is what a worker saw of a server since it reported last.
type seen struct {
	requests, failures int
	tail               int // failures since the last answer
	answered           bool
	probeFailed        bool
	chains             []string // that failed since, as many as matter
}

// tell reports what a worker saw. It returns the servers that went up or down.
func (s *Store) tell(ctx context.Context, all map[string]*seen) (map[string]State, error) {
	args := []any{openFailures, openChains, s.firstProbe.Milliseconds(), s.mostProbe.Milliseconds()}
	for name, v := range all {
		args = append(args, name, v.requests, v.failures, v.tail, v.answered, strings.Join(v.chains, " "), v.probeFailed)
	}
	r, err := s.report().Run(ctx, s.rdb, []string{s.key}, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	switched := map[string]State{}
	for i := 0; i+1 < len(r); i += 2 {
		switched[r[i]] = State(r[i+1])
	}
	return switched, nil
}

func (s *Store) ask(ctx context.Context, server string, lasts time.Duration) (given bool, err error) {
	n, err := s.probe().Run(ctx, s.rdb, []string{s.key}, server, lasts.Milliseconds()).Int()
	return n == 1, err
}
