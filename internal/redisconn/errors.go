package redisconn

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// replies are what Redis answers, by the beginning of its text: in a word (see Word), and in a sentence.
var replies = []struct{ prefix, word, sentence string }{
	{"NOAUTH", "access", "Redis wants a password: put it into REDIS_URL (redis://user:password@host) or REDIS_URL_FILE"},
	{"WRONGPASS", "access", "Redis refuses the user or password of REDIS_URL: check both, and that special characters are percent-encoded"},
	{"ERR invalid password", "", "Redis refuses the password of REDIS_URL: check it, and that special characters are percent-encoded"},
	{"ERR AUTH <password> called without any password", "", "this Redis has no password, and REDIS_URL gives one: take it out, or set requirepass"},
	{"ERR Client sent AUTH", "", "this Redis has no password, and REDIS_URL gives one: take it out, or set requirepass"},
	{"NOPERM", "access", "Redis does not permit this user a command or key that is needed: widen the user's ACL (`ACL LIST`, `ACL LOG` on Redis show what was refused)"},
	{"LOADING", "loading", "Redis is reading its data from disk after a start: wait until it is done (`redis-cli info persistence` shows how far it is)"},
	{"BUSY", "busy", "Redis is busy with a script that runs too long: see `redis-cli slowlog get`, and `SCRIPT KILL` where it does not end"},
	{"READONLY", "replica", "this Redis is a replica and takes no writes: point REDIS_URL at the master, or use redis-sentinel://"},
	{"MASTERDOWN", "replica", "this Redis is a replica that lost its master: point REDIS_URL at the master, or use redis-sentinel://"},
	{"NOREPLICAS", "replicas", "Redis takes no writes while it has too few replicas (min-replicas-to-write): bring the replicas back"},
	{"OOM", "full", "Redis is full: no new work is taken until there is room; raise maxmemory, or let settled batches expire"},
	{"EXECABORT", "", "Redis refused a transaction: it may be full (`redis-cli info memory`), or not permit this user a command (`ACL LOG`)"},
	{"MISCONF", "disk", "Redis can't write to its disk and refuses changes: look for a full disk or missing rights in its log"},
	{"CLUSTERDOWN", "cluster", "the Redis Cluster is down or lacks nodes for some slots: see `redis-cli cluster info`"},
	{"TRYAGAIN", "", "the Redis Cluster is moving keys just now: try again; where it lasts, `redis-cli --cluster check` names the slots that are open, and `--cluster fix` closes them"},
	{"MOVED", "", "this Redis is a node of a cluster: write redis-cluster:// in REDIS_URL"},
	{"CROSSSLOT", "", "keys of one command are on different slots of the Redis Cluster: this is a fault of habilita: report it"},
	{"NOSCRIPT", "", "Redis forgot a script (it restarted, or another node took over): try again"},
	{"DENIED", "", "Redis is in protected mode and takes loopback connections alone: set a password or its bind address"},
	{"ERR max number of clients reached", "", "Redis has no more connections to give: raise maxclients, or lower CONCURRENCY or the number of workers"},
	{"ERR DB index is out of range", "", "this Redis has no such database: check the number in REDIS_URL"},
	{"ERR This instance has cluster support disabled", "", "this Redis is no cluster: write redis:// instead of redis-cluster:// in REDIS_URL, or rediss:// for TLS"},
	{"ERR unknown command 'sentinel'", "", noSentinel},
	{"ERR unknown command `sentinel`", "", noSentinel}, // Redis 6.2
	{"ERR unknown command", "", "this Redis lacks a command that is needed: it is too old, restricted by its host, or no Redis"},
}

const noSentinel = "this Redis is no Sentinel: give the Sentinels' hosts and ports in REDIS_URL (their port is mostly 26379), or write redis:// instead of redis-sentinel://"

// Full reports whether Redis refused a write because it has no memory left. Redis 6.2 puts the refusal of a command
// within a script, or of an EXEC, into the text of another error.
func Full(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && (redis.HasErrorPrefix(reply, "OOM") || strings.Contains(reply.Error(), "OOM command not allowed"))
}

// Broken reports whether Redis says that an error is due to the command itself, or to the state that it met. A full Redis
// never counts. redis.HasErrorPrefix can't find ERR, since it removes that first.
func Broken(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !Full(reply) && (strings.HasPrefix(reply.Error(), "ERR ") || strings.HasPrefix(reply.Error(), "WRONGTYPE"))
}

// Describe says in a sentence what an error of Redis means and what to do next.
// An error that it doesn't know comes back as its own text; nil is "". The sentence
// holds no password, since neither Redis nor the client puts one into an error.
func Describe(err error) string {
	_, sentence := describe(err)
	return sentence
}

// Word says what an error of Redis means in one word, such as "loading", by which texts in several languages are found;
// "" if there is none.
func Word(err error) string {
	word, _ := describe(err)
	return word
}

func describe(err error) (word, sentence string) {
	if err == nil {
		return "", ""
	}
	if e, ok := errors.AsType[*BlindError](err); ok {
		return "", e.Error()
	}
	if e, ok := errors.AsType[*NotReplicatedError](err); ok {
		return "", e.Error()
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		text := reply.Error()
		switch { // the text around a refusal says less
		case Full(reply):
			text = "OOM"
		case noPermission(reply):
			text = "NOPERM"
		}
		for _, r := range replies {
			if strings.HasPrefix(text, r.prefix) {
				return r.word, r.sentence
			}
		}
		return "", "Redis answered: " + reply.Error()
	}
	for _, f := range faults {
		if at, ok := errors.AsType[*net.OpError](err); ok && at.Addr != nil && f.is(err) { // of several, people must know which one
			return f.word, f.sentence + " (" + at.Addr.String() + ")"
		}
		if f.is(err) {
			return f.word, f.sentence
		}
	}
	if Is[x509.CertificateInvalidError](err) || Is[tls.AlertError](err) {
		return "", "the TLS handshake with Redis failed: " + err.Error()
	}
	return "", err.Error()
}

// faults are those on the way to Redis: in a word (see Word), and in a sentence. The first that matches an error counts.
var faults = []struct {
	is             func(error) bool
	word, sentence string
}{
	{Is[tls.RecordHeaderError], "", "Redis does not speak TLS on this port: write redis:// instead of rediss://, or use its TLS port"},
	{Is[x509.UnknownAuthorityError], "", "Redis's certificate is from an authority that this machine does not know: install the authority's certificate (SSL_CERT_FILE names a file)"},
	{Is[x509.HostnameError], "", "Redis's certificate is for another host name: use that name in REDIS_URL"},
	{expired, "", "Redis's certificate has expired or is not valid yet: renew it, and check this machine's clock"},
	{IsAny(syscall.ECONNREFUSED), "refused", "nothing listens at an address of Redis: start Redis there, or correct REDIS_URL"},
	{noSuchHost, "", "the host of REDIS_URL has no address: check its name"},
	{Is[*net.DNSError], "", "the host of REDIS_URL can't be looked up: check this machine's DNS"},
	{IsAny(fs.ErrNotExist), "", "the socket of REDIS_URL does not exist: start Redis, or correct the path"},
	{IsAny(fs.ErrPermission), "", "this user may not open the socket of REDIS_URL: change its group or unixsocketperm"},
	{IsAny(syscall.ENETUNREACH, syscall.EHOSTUNREACH), "", "there is no route to the host of REDIS_URL: check the network"},
	{IsAny(redis.ErrPoolTimeout), "", "all connections to Redis are in use: Redis is slow, or CONCURRENCY is above the pool size"},
	{IsAny(redis.ErrClosed), "", "the connection to Redis was closed by this program"},
	{IsAny(context.Canceled), "", "the question to Redis was given up before its answer"},
	{timedOut, "slow", "Redis does not answer in time: it is overloaded or stopped, a firewall drops the packets, or it does not speak TLS where REDIS_URL does (rediss://)"},
	{IsAny(syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF), "closed", "Redis closed the connection: it was stopped or restarted, another node took over, it has as many clients as maxclients allows, or it speaks TLS where REDIS_URL does not (rediss://)"},
	{func(err error) bool {
		return strings.Contains(err.Error(), "all sentinels specified in configuration are unreachable")
	}, "", "no Sentinel of REDIS_URL answers, or none knows this master's name: check the hosts and the name"},
}

func expired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

func noSuchHost(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

func timedOut(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// Passing reports whether an error of Redis ends by itself: it starts, fails over, or
// moves keys. If several nodes serve (a cluster, or Sentinel), the error of a node that is
// not there passes too: another one takes its place.
func Passing(err error, several bool) bool {
	if begins(err, "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN") || redis.IsReadOnlyError(err) { // the last from within a script, too
		return true
	}
	return several && !Is[redis.Error](err) &&
		(Is[*net.OpError](err) || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded))
}

// begins reports whether an answer of Redis begins with one of these codes.
func begins(err error, codes ...string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return redis.HasErrorPrefix(err, code) })
}

// Is reports whether an error of this type is in the tree of err.
func Is[E error](err error) bool {
	_, found := errors.AsType[E](err)
	return found
}

// IsAny returns a function that reports whether one of the targets is in the tree of an error.
func IsAny(targets ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
}

// UnreadError says that some of what was asked for could not be read, but the rest was. Most often one node of a
// Redis Cluster is away.
type UnreadError struct {
	What  string   // it is, with a place for the number: one of the following
	Names []string // of those that could not be read, each once
	Cause error    // of the first of them
}

// What can't be read.
const (
	Parts     = "%d of its 1024 parts" // of the ledger
	Batches   = "batches: %d"
	Schedules = "schedules: %d"
)

// Unreadable says that one thing could not be read.
func Unreadable(what, name string, cause error) error {
	return &UnreadError{what, []string{name}, cause}
}

// Error says how many are missing, and why.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("can't be read (the first is %q): "+e.What+": %v", e.Names[0], len(e.Names), e.Cause)
}

// Unwrap returns the cause.
func (e *UnreadError) Unwrap() error { return e.Cause }

// Add notes one that could not be read, once.
func (e *UnreadError) Add(name string, cause error) {
	e.Cause = cmp.Or(e.Cause, cause)
	if !slices.Contains(e.Names, name) {
		e.Names = append(e.Names, name)
	}
}

// Of returns the error if that many were asked for: nil if all were read, the plain cause if none was, else e.
func (e *UnreadError) Of(all int) error {
	switch len(e.Names) {
	case 0:
		return nil
	case all:
		return e.Cause
	}
	return e
}

// Unread returns the things that an error says could not be read, one for each What. It returns none for nil, and for
// an error that says that nothing was read. The errors of thousands of things may be joined one by one.
func Unread(err error) (all []*UnreadError) {
	known := map[string]bool{}
	for _, u := range unreadIn(err, nil) {
		i := slices.IndexFunc(all, func(have *UnreadError) bool { return have.What == u.What })
		if i < 0 {
			i, all = len(all), append(all, &UnreadError{What: u.What, Cause: u.Cause})
		}
		for _, name := range u.Names {
			if id := u.What + name; !known[id] {
				known[id] = true
				all[i].Names = append(all[i].Names, name)
			}
		}
	}
	return all
}

// unreadIn appends those in the tree of err to what is found already.
func unreadIn(err error, found []*UnreadError) []*UnreadError {
	switch e := err.(type) {
	case *UnreadError:
		return append(found, e)
	case interface{ Unwrap() error }:
		return unreadIn(e.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			found = unreadIn(one, found)
		}
	}
	return found
}

// Partly reports whether something was read: all, or all but what the error names.
func Partly(err error) bool { return err == nil || len(Unread(err)) > 0 }
