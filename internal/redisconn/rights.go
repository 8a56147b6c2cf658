package redisconn

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Role is what a process does with Redis, and so what the ACL must allow it. Roles can
// be joined with |.
type Role uint8

// The roles. 0 needs nothing.
const (
	// Reader looks: enqueue status, watch, report, batches, show, chains, quota, schedule
	// list and show.
	Reader Role = 1 << iota
	// Producer enqueues: enqueue call and bulk, with --wait too.
	Producer
	// Operator does all that the enqueue command does.
	Operator
	// Worker makes the calls.
	Worker
)

const (
	everyone = Reader | Producer | Operator | Worker
	writers  = Producer | Operator | Worker
	people   = Reader | Operator
)

// Probes name only these keys.
const (
	ourKeys   = "~habilita:*"
	asynqKeys = "~asynq:*"
	ourKey    = "habilita:preflight"
	asynqKey  = "asynq:{habilita}:preflight"
)

// needs are rights that the same roles need for the same purpose.
type needs struct {
	roles    Role
	lost     string // what goes without them, where the rest works all the same; "": nothing does
	commands string // each as an ACL names it, with the arguments of its probe
}

const (
	// A worker does over HTTP what producers and people do.
	noHTTP    = "calls can't be enqueued over HTTP"
	noActions = "what people do is not kept in the audit log"
)

// allNeeds are what habilita and asynq send, in scripts too. TestACLOfARole runs with
// these and no others, and Redis's ACL LOG has to stay empty.
var allNeeds = []needs{
	{everyone, "", `client|setname habilita; eval 0 0; evalsha 0 0; exec; exists k; get k; hget k f; hgetall k; hmget k f;
		hscan k 0; info server; llen k; lrange k 0 0; multi; ping; time; zcard k; zrange k 0 0; zrevrange k 0 0; zscore k m`},
	{everyone, "the rights of this user can't be checked", `discard`},
	// GET for asynq's keys: a user that may do nothing else may still read.
	{writers, "", `get a; hdel k f; hincrby k f 1; hlen k; hset a f v; hsetnx k f v; incr k; lpop k; lpush a v; pexpireat k 1;
		rpush k v; sadd a v; set k v; sismember k v; unlink k; zadd k 1 m; zrangebyscore k 0 0; zrem k m`},
	{writers, "whether Redis writes every command to disk can't be seen, so after each of its restarts no call is made for one lease",
		`config|get appendfsync`},
	{writers, noActions, `xadd k * f v; xtrim k MAXLEN 1`},
	{people | Worker, noActions, `xrevrange k + -`},
	{people | Worker, "", `hkeys k; script|load 0; zcount k 0 0`},
	{Producer | Operator, "", `hexists k f; setbit k 0 1`},
	{Operator | Worker, "", `decr k; del k; pexpire k 1; zpopmin k; zremrangebyscore k 0 0`},
	{Operator | Worker, "calls that wait for a slot are woken later", `publish c v`},
	{Producer, "what a file has no more can't be pruned", `decr k; del k; zcount k 0 0; zpopmin k; zremrangebyscore k 0 0`},
	{Producer | Operator, "a batch of policy cancel can't be given again", `smembers k; srem k v`},
	{Operator, "", `persist k; unwatch; watch k`},
	{Worker, noHTTP, `hexists k f; setbit k 0 1; unwatch; watch k`},
	{Worker, "", `bzpopmin k 0.001; expire a 1; expireat a 1; lrem a 0 v; ltrim k 0 0; memory|usage a; rpoplpush a a; setex a 1 v;
		smembers a; srem a v; subscribe asynq:cancel; zremrangebyrank a 0 0`},
}

// right is one command that roles need.
type right struct {
	name  string
	args  string
	roles Role
	lost  string
}

// rights has allNeeds one by one, in the order of their names.
var rights = func() (all []right) {
	for _, n := range allNeeds {
		for command := range strings.SplitSeq(n.commands, ";") {
			name, args, _ := strings.Cut(strings.TrimSpace(command), " ")
			all = append(all, right{name, args, n.roles, n.lost})
		}
	}
	slices.SortStableFunc(all, func(a, b right) int { return strings.Compare(a.name, b.name) })
	return all
}()

// probe returns the command line that asks for the right without using it.
func (r right) probe() []any {
	var line []any
	for _, word := range strings.Split(r.name, "|") {
		line = append(line, word)
	}
	for _, word := range strings.Fields(r.args) {
		switch word {
		case "k":
			word = ourKey
		case "a":
			word = asynqKey
		case "c":
			word = "habilita:woken:preflight"
		}
		line = append(line, word)
	}
	return line
}

// keys returns the pattern of the probe's key.
func (r right) keys() string {
	if slices.Contains(strings.Fields(r.args), "a") {
		return asynqKeys
	}
	return ourKeys
}

// channels returns the pattern of the probe's channel.
func (r right) channels() string {
	if r.name == "subscribe" {
		return "&asynq:cancel"
	}
	return "&habilita:woken:*"
}

// missingRights finds which rights of a role this user lacks. When a command is queued
// in a transaction, Redis checks its name, keys and channels against the ACL at once;
// DISCARD drops them all, so that nothing is run. This takes no right to the ACL
// commands. opened and closed are what MULTI and DISCARD answered when there was
// nothing to lose: unless both are allowed, nothing is tried.
func missingRights(ctx context.Context, rdb redis.Cmdable, role Role, opened, closed error) ([]Finding, error) {
	var m missing
	if noPermission(opened) || noPermission(closed) {
		m.note(right{name: "multi"}, opened)
		m.note(right{name: "discard", lost: "the rights of this user can't be checked"}, closed)
		return m.findings(userOf(rdb)), nil
	}
	if opened != nil || closed != nil {
		return nil, nil // no transactions here: a proxy, or no Redis
	}
	pipe := rdb.Pipeline()
	asked := map[int]*redis.Cmd{}
	ask := func(these func(name string) bool) {
		for i, r := range rights {
			if r.roles&role != 0 && these(r.name) {
				asked[i] = pipe.Do(ctx, r.probe()...)
			}
		}
	}
	// Valkey refuses WATCH in a transaction before it looks at the ACL. DISCARD ends what it watches.
	ask(func(name string) bool { return name == "watch" })
	begun := pipe.Do(ctx, "multi")
	ask(func(name string) bool { return !slices.Contains([]string{"multi", "discard", "exec", "watch"}, name) })
	pipe.Do(ctx, "discard")
	exec := pipe.Do(ctx, "exec") // "without MULTI"
	_, failed := pipe.Exec(ctx)
	if begun.Val() == nil {
		return nil, failed
	}
	for i, r := range rights {
		if cmd := asked[i]; cmd != nil {
			m.note(r, cmd.Err())
		}
	}
	m.note(right{name: "exec"}, exec.Err())
	return m.findings(userOf(rdb)), nil
}

// missing collects refusals.
type missing struct {
	needed []string // as ACL SETUSER takes them
	wished []string
	lost   []string // what goes without the wished ones
}

func (m *missing) note(r right, err error) {
	if !noPermission(err) {
		return
	}
	list, word := &m.needed, "+"+r.name
	switch {
	case strings.Contains(err.Error(), " to run the "):
	case strings.Contains(err.Error(), "channel"):
		word = r.channels()
	default:
		word = r.keys()
	}
	if r.lost != "" && (word[0] == '+' || word[0] == '&') {
		list = &m.wished
		if !slices.Contains(m.lost, r.lost) {
			m.lost = append(m.lost, r.lost)
		}
	}
	if !slices.Contains(*list, word) {
		*list = append(*list, word)
	}
}

func (m *missing) findings(user string) (found []Finding) {
	if len(m.needed) > 0 {
		found = append(found, Finding{Level: Refuse,
			What: fmt.Sprintf("Redis's ACL does not allow user %s what is needed: %s", user, strings.Join(m.needed, " ")), Remedy: grant(user, m.needed)})
	}
	if len(m.wished) > 0 {
		found = append(found, Finding{Level: Warn,
			What: fmt.Sprintf("Redis's ACL does not allow user %s %s: %s", user, strings.Join(m.wished, " "), strings.Join(m.lost, "; ")), Remedy: grant(user, m.wished)})
	}
	return found
}

func grant(user string, words []string) string {
	return fmt.Sprintf("as Redis's administrator: `ACL SETUSER %s %s`, and the same in its ACL file or redis.conf (docs/redis.md has the least ACL)",
		user, shellWords(words))
}

// shellWords quotes words that have characters with a meaning for the shell.
func shellWords(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsAny(w, "~&*|") {
			w = "'" + w + "'"
		}
		out[i] = w
	}
	return strings.Join(out, " ")
}

// userOf returns the user that a client logs in as.
func userOf(rdb redis.Cmdable) string {
	if c, ok := rdb.(*redis.Client); ok && c.Options().Username != "" {
		return c.Options().Username
	}
	return "default"
}

// noPermission reports whether the ACL refused a command, or the EXEC that would have run it.
func noPermission(err error) bool {
	return begins(err, "NOPERM", "EXECABORT Transaction discarded because of: NOPERM")
}
