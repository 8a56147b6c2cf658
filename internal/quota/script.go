package quota

import (
	"embed"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/lualink"
)

//go:embed lua/*.lua
var sources embed.FS

var library = source("library")

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic("quota: " + err.Error()) // the files are embedded: they can't be missing
	}
	return string(text)
}

// Library is the source of the Lua functions that all scripts here are made of
// (quota.now, settings, grant, wake, tell, offer, is_chain, recall, release, give_back, cool, lift,
// licenses and peek,
// and the local function int), for a program that grants and writes something of its
// own, on keys of the same hash tag, in one step: it passes Library to lualink.Parse, and Settings.Args to
// its script.
func Library() string { return library }

// script is a script, and the form of its answer. It is put together when it is first run.
type script struct {
	redis      func() *redis.Script
	name       string
	items, now int // how many items it answers, and which of them is the server's time
}

type scripts struct{ grant, release, leave, cool, peek, restore, raise, licenses script }

func newScripts() scripts {
	parsed := sync.OnceValue(func() *lualink.Library { return lualink.Parse(library) })
	made := func(name string, items, now int) script {
		linked := sync.OnceValue(func() *redis.Script { return redis.NewScript(parsed().Script(source(name))) })
		return script{linked, name, items, now}
	}
	return scripts{
		grant: made("grant", 9, 5), release: made("release", 4, 2), leave: made("leave", 4, 2), cool: made("cool", 3, 1),
		peek: made("peek", 9, 7), restore: made("restore", 2, 1), raise: made("raise", 3, 2), licenses: made("licenses", 2, 0),
	}
}

// Tag is the bucket of a token's name: its first two characters. With names in
// base32 there are 1,024 buckets.
func Tag(token string) string {
	return token[:min(2, len(token))]
}

// KeyPrefix begins the names of all keys of a token, hash tag included:
// KeyPrefix("habilita", "k7qm...") is "habilita:{k7}:". It is KEYS[1] of every
// script.
func KeyPrefix(prefix, token string) string {
	return prefix + ":{" + Tag(token) + "}:"
}

// scriptKeys are what every script declares: the prefix, and another name in its hash slot. Neither
// is ever a key. So while a cluster moves the slot, key by key, no script runs on either half: the
// node that has it says ASK for keys that are missing, and the node that gets it TRYAGAIN.
func scriptKeys(prefix, token string) []string {
	p := KeyPrefix(prefix, token)
	return []string{p, p + "whole"}
}

// checkName refuses what can't be a key. It does not show it: it may be a token that
// was given for its name. No regexp: compiling one of this length costs each start 0.4 ms.
func checkName(token string) error {
	if len(token) < 3 || len(token) > 128 {
		return ErrName
	}
	for _, c := range []byte(token) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return ErrName
		}
	}
	return nil
}

// reply is what a script answered: texts and whole numbers, as many as its form says.
type reply []any

func (r reply) text(i int) string {
	switch v := r[i].(type) {
	case string:
		return v
	case int64:
		return text(v)
	}
	return ""
}

func (r reply) number(i int) int64 {
	switch v := r[i].(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64) // the scripts write whole numbers
		return n
	}
	return 0
}

func (r reply) int(i int) int { return int(r.number(i)) }

// time is zero where the item is 0.
func (r reply) time(i int) time.Time {
	if ms := r.number(i); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}
