package membership

import (
	"context"
	"crypto/rand"
	_ "embed" // the script
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"time"

	"github.com/redis/go-redis/v9"
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
	// Others who share this Redis have a script of their own: see Used.
	script := redis.NewScript(fmt.Sprintf("%s-- of %q in database %d\n", source, prefix, database))
	return &Registry{rdb: rdb, script: script, keys: []string{key("alive"), key("processes")}}
}

// Join makes the process one of the live ones, for TTL; Keep is to follow. The error is a
// *MismatchError where live ones have other values for some of its shared settings, and nothing
// was changed then. Settings that no live process has get the values of this one. Any other
// error is of Redis; whether the process joined is then not known, and it may try again.
func (r *Registry) Join(ctx context.Context, p Process, t Settings) (*Membership, error) {
	mine := Settings{} // never null: the script reads it as a table
	maps.Copy(mine, t)
	text, err := json.Marshal(record{p, mine})
	if err != nil {
		return nil, fmt.Errorf("membership: %w", err)
	}
	m := &Membership{registry: r, id: p.ID, settings: mine, record: string(text)}
	if err := m.Renew(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// Settings are those that live processes agree on.
func (r *Registry) Settings(ctx context.Context) (Settings, error) {
	alive, err := r.alive(ctx)
	all := Settings{}
	for _, one := range alive {
		maps.Copy(all, one.Settings)
	}
	return all, err
}

// Alive are the live processes, the oldest first.
func (r *Registry) Alive(ctx context.Context) ([]Process, error) {
	alive, err := r.alive(ctx)
	var all []Process
	for _, one := range alive {
		all = append(all, one.Process)
	}
	sortProcesses(all)
	return all, err
}

func (r *Registry) alive(ctx context.Context) ([]record, error) {
	_, texts, err := r.run(ctx, opList)
	if err != nil {
		return nil, err
	}
	return parseAll(texts)
}

// Used reports whether some process of this prefix and database has joined or looked since this Redis started, whatever
// was deleted in it since: Redis remembers the script.
func (r *Registry) Used(ctx context.Context) (bool, error) {
	err := r.script.EvalSha(ctx, r.rdb, r.keys, opList).Err()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return false, nil
	}
	return err == nil, err
}

// run runs the script, and gives the first text of its reply apart.
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

// Process is one that joined, as the others see it.
type Process struct {
	// ID is unique among processes.
	ID string `json:"id"`
	// Kind is what it is, such as "worker" or "enqueue".
	Kind string `json:"kind"`
	// Host is the name of its machine.
	Host string `json:"host"`
	// PID is its number on that machine.
	PID int `json:"pid"`
	// Started is when it started, by its own clock.
	Started time.Time `json:"started"`
	// Version is the program's.
	Version string `json:"version"`
}

// Self describes this process, with a new ID. It starts now.
func Self(kind string) Process {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p := Process{ID: rand.Text(), Kind: kind, Host: host, PID: os.Getpid(), Started: time.Now().UTC()}
	if info, ok := debug.ReadBuildInfo(); ok {
		p.Version = info.Main.Version
	}
	return p
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
