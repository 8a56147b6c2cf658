package membership

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed" // the script
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/version"
)

//go:embed lua/membership.lua
var source string

// The operations of the script. It answers saysDiffers and the records of those that differ, or that it is done and, to
// opList, all records.
const (
	opBeat, opLeave, opList = "beat", "leave", "list"
	saysDiffers             = "differs"
)

// Registry is where processes agree. Safe for concurrent use.
type Registry struct {
	rdb    redis.UniversalClient
	script *redis.Script
	keys   []string
}

// New makes a Registry on keys that begin with the prefix, such as "habilita". It does
// not own the client.
func New(rdb redis.UniversalClient, prefix string) *Registry {
	key := func(name string) string { return prefix + ":{agreement}:" + name }
	database := 0
	if one, ok := rdb.(*redis.Client); ok {
		database = one.Options().DB
	}
	// Other prefixes and databases of this Redis have a script of their own: see Used.
	script := redis.NewScript(fmt.Sprintf("%s-- of %q in database %d\n", source, prefix, database))
	return &Registry{rdb: rdb, script: script, keys: []string{key("alive"), key("processes")}}
}

// Join makes the process one of the live ones, for TTL; call Keep next. The error is a
// *MismatchError if live ones have other values for some of its shared settings; then nothing
// was changed. Settings that no live process has get the values of this one. Any other error
// is of Redis: then nobody knows whether the process joined, and it may try again.
func (r *Registry) Join(ctx context.Context, p Process, t Settings) (*Membership, error) {
	if err := r.CheckKeys(ctx, p); err != nil {
		return nil, err
	}
	mine := Settings{} // never null: the script reads it as a table
	maps.Copy(mine, t)
	text, _ := json.Marshal(record{p, mine}) // texts, a number and a time of today: it can't fail
	m := &Membership{registry: r, id: p.ID, settings: mine, record: string(text)}
	if err := m.Renew(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// CheckKeys refuses a process that seals under a key that a live worker lacks, and a worker that lacks the key under which
// a live process seals: a worker gives up the calls whose tokens it can't open. The error is a *MismatchError. Of two
// processes that join in the same moment, neither may see the other.
func (r *Registry) CheckKeys(ctx context.Context, me Process) error {
	if len(me.Keys) == 0 {
		return nil
	}
	all, err := r.Alive(ctx)
	lacks := func(p, sealing Process) bool { return p.Kind == Worker && !slices.Contains(p.Keys, sealing.Keys[0]) }
	with := slices.DeleteFunc(all, func(p Process) bool {
		return len(p.Keys) == 0 || p.ID == me.ID || !lacks(p, me) && !lacks(me, p)
	})
	if err != nil || len(with) == 0 {
		return err
	}
	return &MismatchError{Differences: []Difference{{sealingKeys, strings.Join(me.Keys, ", "), strings.Join(with[0].Keys, ", ")}}, With: with}
}

// Settings returns the settings that live processes agree on.
func (r *Registry) Settings(ctx context.Context) (Settings, error) {
	alive, err := r.alive(ctx)
	all := Settings{}
	for _, one := range alive {
		maps.Copy(all, one.Settings)
	}
	return all, err
}

// Alive returns the live processes, the oldest first.
func (r *Registry) Alive(ctx context.Context) ([]Process, error) {
	alive, err := r.alive(ctx)
	return processes(alive), err
}

func (r *Registry) alive(ctx context.Context) ([]record, error) {
	_, texts, err := r.run(ctx, opList)
	if err != nil {
		return nil, err
	}
	return parseAll(texts)
}

// Used reports whether some process of this prefix and database has joined or looked since this Redis started, even if
// its data was deleted since: Redis remembers the script.
func (r *Registry) Used(ctx context.Context) (bool, error) {
	err := r.script.EvalSha(ctx, r.rdb, r.keys, opList).Err()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return false, nil
	}
	return err == nil, err
}

// run runs the script, and returns the first text of its reply by itself.
func (r *Registry) run(ctx context.Context, args ...any) (says string, rest []string, err error) {
	reply, err := r.script.Run(ctx, r.rdb, r.keys, args...).StringSlice()
	if err != nil {
		return "", nil, fmt.Errorf("membership: %w", err)
	}
	return reply[0], reply[1:], nil
}

// Settings are what processes must agree on, name to value, such as TOKEN_SLOTS to 2. Values
// are compared as text. None may be a secret.
type Settings map[string]string

// The kinds of processes. A Limiter uses package quota; QuotaSync asks the vendor for its own counts.
const Worker, Producer, Limiter, QuotaSync = "worker", "producer", "limiter", "quota sync"

// Process is one that joined, as the others see it.
type Process struct {
	// ID is unique among processes.
	ID string `json:"id"`
	// Kind is what it is: Worker or another of the kinds.
	Kind string `json:"kind"`
	// Host is the name of its machine.
	Host string `json:"host"`
	// PID is its number on that machine.
	PID int `json:"pid"`
	// Started is when it started, by its own clock.
	Started time.Time `json:"started"`
	// Version is the program's, and the beginning of its commit.
	Version string `json:"version"`
	// Keys are the ids of its sealing keys, the one that seals first. None: it seals nothing and opens nothing, or is of
	// an older version.
	Keys []string `json:"keys,omitempty"`
}

// Self describes this process, with a new ID and the ids of its sealing keys. It starts now.
func Self(kind string, keys ...string) Process {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Process{ID: rand.Text(), Kind: kind, Host: host, PID: os.Getpid(), Started: time.Now().UTC(), Version: version.Short(), Keys: keys}
}

// Workers returns those of the processes that make calls.
func Workers(all []Process) []Process {
	return slices.DeleteFunc(slices.Clone(all), func(p Process) bool { return p.Kind != Worker })
}

// String names the process for a person, such as
// "worker on web-1, pid 12, since 2026-11-23T08:00:00Z".
func (p Process) String() string {
	return fmt.Sprintf("%s on %s, pid %d, since %s", p.Kind, p.Host, p.PID, p.Started.UTC().Format(time.RFC3339))
}

// record is what Redis keeps of a process.
type record struct {
	Process
	Settings Settings `json:"terms"`
}

// TokenIDKey is the shared setting for the fingerprint of the token-ID key, which nobody sets by hand.
const TokenIDKey = "NAMING_KEY"

// sealingKeys stands for the ids of HABILITA_KEYS in a MismatchError.
const sealingKeys = "HABILITA_KEYS"

// Difference is a shared setting for which the others have another value.
type Difference struct {
	Name string
	// Mine is the value of the process that was refused, Theirs that of those that are
	// alive.
	Mine, Theirs string
}

// MismatchError says that live processes use other settings. The one that gets it must
// not run.
type MismatchError struct {
	// Differences are sorted by name; never empty.
	Differences []Difference
	// With are the processes that differ, the oldest first; never empty.
	With []Process
}

// Error says each difference, with whom, and what to do next.
func (e *MismatchError) Error() string {
	var b strings.Builder
	b.WriteString("this process disagrees with others that use the same Redis:")
	for _, d := range e.Differences {
		fmt.Fprintf(&b, "\n  %s is %q here and %q there", d.Name, d.Mine, d.Theirs)
	}
	const most = 5
	for i, p := range e.With {
		if i == most {
			fmt.Fprintf(&b, "\n  and %d more", len(e.With)-most)
			break
		}
		fmt.Fprintf(&b, "\n  there: %s", p)
	}
	if slices.ContainsFunc(e.Differences, func(d Difference) bool { return d.Name == TokenIDKey }) {
		fmt.Fprintf(&b, "\nthe token-ID key in Redis was replaced while they ran, and nothing sets it: they stop by themselves, "+
			"or are forgotten after %v; then start this one again", TTL)
		return b.String()
	}
	if e.Differences[0].Name == sealingKeys {
		fmt.Fprintf(&b, "\na worker gives up the calls that it can't open. Give all processes all of these keys, with the first one of those that run "+
			"in front, and restart them; only then may a new key stand in front (one that crashed is forgotten after %v)", TTL)
		return b.String()
	}
	fmt.Fprintf(&b, "\nstart this one with their values; or, to change the values, stop all that use them first "+
		"(one that crashed is forgotten after %v)", TTL)
	return b.String()
}

// mismatch reads the records that the script answered with.
func mismatch(mine Settings, answered []string) error {
	others, err := parseAll(answered)
	if err != nil {
		return err
	}
	e := &MismatchError{With: processes(others)}
	for _, name := range slices.Sorted(maps.Keys(mine)) {
		for _, other := range others {
			if theirs, ok := other.Settings[name]; ok && theirs != mine[name] {
				e.Differences = append(e.Differences, Difference{name, mine[name], theirs})
				break // live ones agree, so the first has the value of all
			}
		}
	}
	return e
}

func parseAll(texts []string) ([]record, error) {
	all := make([]record, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &all[i]); err != nil {
			return nil, fmt.Errorf("membership: the record of a process: %w", err)
		}
	}
	return all, nil
}

// processes returns the processes of the records, the oldest first.
func processes(of []record) (all []Process) {
	for _, one := range of {
		all = append(all, one.Process)
	}
	slices.SortFunc(all, func(a, b Process) int { return cmp.Or(a.Started.Compare(b.Started), strings.Compare(a.ID, b.ID)) })
	return all
}
