package redisconn

import (
	"slices"
	"strings"
)

// Role is what a process does with Redis, and with it what its ACL must allow. Roles
// can be joined with |.
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

// Probes name these keys and channels alone.
const (
	ourKeys   = "~habilita:*"
	asynqKeys = "~asynq:*"
	ourKey    = "habilita:preflight"
	asynqKey  = "asynq:{habilita}:preflight"
)

// needs are rights that the same roles need for the same.
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
	// GET for asynq's keys: who may nothing else may read.
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

// rights are allNeeds one by one, in the order of their names.
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

// probe is the command line that asks for the right without using it.
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

// keys is the pattern of the probe's key.
func (r right) keys() string {
	if slices.Contains(strings.Fields(r.args), "a") {
		return asynqKeys
	}
	return ourKeys
}

// channels is the pattern of the probe's channel.
func (r right) channels() string {
	if r.name == "subscribe" {
		return "&asynq:cancel"
	}
	return "&habilita:woken:*"
}

// ACL is the least that a user of a role has to be allowed, as ACL SETUSER and an ACL
// file take it after the user's name and password. A cluster needs ClusterACL too.
func ACL(role Role) string {
	words := []string{"resetkeys", ourKeys}
	if role&writers != 0 {
		words = append(words, asynqKeys)
	}
	words = append(words, "resetchannels")
	if role&Worker != 0 {
		words = append(words, "&asynq:cancel")
	}
	if role&(Operator|Worker) != 0 {
		words = append(words, "&habilita:woken:*")
	}
	words = append(words, "-@all")
	for _, r := range rights {
		if word := "+" + r.name; r.roles&role != 0 && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// ClusterACL is what every role needs above ACL in a Redis Cluster.
const ClusterACL = "+cluster|slots +command"
