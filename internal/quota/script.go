package quota

import (
	_ "embed" // the scripts

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/library.lua
	library string
	//go:embed lua/grant.lua
	grantMain string
	//go:embed lua/release.lua
	releaseMain string
	//go:embed lua/leave.lua
	leaveMain string
	//go:embed lua/cool.lua
	coolMain string
	//go:embed lua/peek.lua
	peekMain string
	//go:embed lua/restore.lua
	restoreMain string
	//go:embed lua/raise.lua
	raiseMain string
	//go:embed lua/licenses.lua
	licensesMain string
)

// Library is the source of the Lua functions that all scripts here are made of
// (quota.now, settings, grant, wake, tell, offer, is_chain, recall, release, give_back, cool, lift,
// licenses and peek,
// and the local function int), for a program that grants and writes something of its
// own, on keys of the same hash tag, in one step: it prepends Library to its script
// and passes Settings.Args.
func Library() string { return library }

// script is a script, and the form of its answer.
type script struct {
	*redis.Script
	name       string
	items, now int // how many items it answers, and which of them is the server's time
}

type scripts struct{ grant, release, leave, cool, peek, restore, raise, licenses script }

func newScripts() scripts {
	made := func(main string) *redis.Script { return redis.NewScript(library + main) }
	return scripts{
		grant:    script{made(grantMain), "grant", 9, 5},
		release:  script{made(releaseMain), "release", 4, 2},
		leave:    script{made(leaveMain), "leave", 4, 2},
		cool:     script{made(coolMain), "cool", 3, 1},
		peek:     script{made(peekMain), "peek", 9, 7},
		restore:  script{made(restoreMain), "restore", 2, 1},
		raise:    script{made(raiseMain), "raise", 3, 2},
		licenses: script{made(licensesMain), "licences", 2, 0},
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
