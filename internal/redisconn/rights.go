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

// right is one command that roles need.
type right struct {
	name  string // as an ACL names it
	args  string // of a probe, which is queued and never run; a name alone has none
	roles Role
	// lost is what goes without it, where the rest works all the same; "": nothing does.
	lost string
}

// Probes name these keys and channels alone.
const (
	ourKeys   = "~habilita:*"
	asynqKeys = "~asynq:*"
	ourKey    = "habilita:preflight"
	asynqKey  = "asynq:{habilita}:preflight"
)

// A worker does over HTTP what producers and people do.
const noHTTP = "calls can't be enqueued over HTTP"

// A producer prunes what its file has no more.
const noPrune = "what a file has no more can't be pruned"

const noActions = "what people do is not kept in the audit log"

// rights are what habilita and asynq send, in scripts too. TestACLOfARole runs with
// these and no others, and Redis's ACL LOG has to stay empty.
var rights = []right{
	{"bzpopmin", "k 0.001", Worker, ""},
	{"client|setname", "habilita", everyone, ""},
	{"config|get", "appendfsync", writers, "whether Redis writes every command to disk can't be seen, so after each of its restarts no call is made for one lease"},
	{"decr", "k", Operator | Worker, ""},
	{"decr", "k", Producer, noPrune},
	{"del", "k", Operator | Worker, ""},
	{"del", "k", Producer, noPrune},
	{"discard", "", everyone, "the rights of this user can't be checked"},
	{"eval", "0 0", everyone, ""},
	{"evalsha", "0 0", everyone, ""},
	{"exec", "", everyone, ""},
	{"exists", "k", everyone, ""},
	{"expire", "a 1", Worker, ""},
	{"expireat", "a 1", Worker, ""},
	{"get", "k", everyone, ""},
	{"get", "a", writers, ""}, // for the keys: who may nothing else may read
	{"hdel", "k f", writers, ""},
	{"hexists", "k f", Producer | Operator, ""},
	{"hexists", "k f", Worker, noHTTP},
	{"hget", "k f", everyone, ""},
	{"hgetall", "k", everyone, ""},
	{"hincrby", "k f 1", writers, ""},
	{"hkeys", "k", people | Worker, ""},
	{"hlen", "k", writers, ""},
	{"hmget", "k f", everyone, ""},
	{"hscan", "k 0", everyone, ""},
	{"hset", "a f v", writers, ""},
	{"hsetnx", "k f v", writers, ""},
	{"incr", "k", writers, ""},
	{"info", "server", everyone, ""},
	{"llen", "k", everyone, ""},
	{"lpop", "k", writers, ""},
	{"lpush", "a v", writers, ""},
	{"lrange", "k 0 0", everyone, ""},
	{"lrem", "a 0 v", Worker, ""},
	{"ltrim", "k 0 0", Worker, ""},
	{"memory|usage", "a", Worker, ""},
	{"multi", "", everyone, ""},
	{"persist", "k", Operator, ""},
	{"pexpire", "k 1", Operator | Worker, ""},
	{"pexpireat", "k 1", writers, ""},
	{"ping", "", everyone, ""},
	{"publish", "c v", Operator | Worker, "calls that wait for a slot are woken later"},
	{"rpoplpush", "a a", Worker, ""},
	{"rpush", "k v", writers, ""},
	{"sadd", "a v", writers, ""},
	{"script|load", "0", people | Worker, ""},
	{"set", "k v", writers, ""},
	{"setbit", "k 0 1", Producer | Operator, ""},
	{"setbit", "k 0 1", Worker, noHTTP},
	{"setex", "a 1 v", Worker, ""},
	{"sismember", "k v", writers, ""},
	{"smembers", "a", Worker, ""},
	{"srem", "a v", Worker, ""},
	{"subscribe", "asynq:cancel", Worker, ""},
	{"time", "", everyone, ""},
	{"unlink", "k", writers, ""},
	{"unwatch", "", Operator, ""},
	{"unwatch", "", Worker, noHTTP},
	{"watch", "k", Operator, ""},
	{"watch", "k", Worker, noHTTP},
	{"xadd", "k * f v", writers, noActions},
	{"xrevrange", "k + -", people | Worker, noActions},
	{"xtrim", "k MAXLEN 1", writers, noActions},
	{"zadd", "k 1 m", writers, ""},
	{"zcard", "k", everyone, ""},
	{"zcount", "k 0 0", people | Worker, ""},
	{"zcount", "k 0 0", Producer, noPrune},
	{"zpopmin", "k", Operator | Worker, ""},
	{"zpopmin", "k", Producer, noPrune},
	{"zrange", "k 0 0", everyone, ""},
	{"zrangebyscore", "k 0 0", writers, ""},
	{"zrem", "k m", writers, ""},
	{"zremrangebyrank", "a 0 0", Worker, ""},
	{"zremrangebyscore", "k 0 0", Operator | Worker, ""},
	{"zremrangebyscore", "k 0 0", Producer, noPrune},
	{"zrevrange", "k 0 0", everyone, ""},
	{"zscore", "k m", everyone, ""},
}

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
