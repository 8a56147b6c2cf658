package quota

import (
	"embed"
	"strings"
	"sync"

	"habilita/internal/lualink"
	"habilita/internal/redisconn"
)

//go:embed lua/*.lua
var sources embed.FS

var library = source("library")

func source(name string) string { return redisconn.Source(sources, name) }

// Library returns the source of the Lua functions that all scripts here are made of:
// quota.now, settings, grant, wake, tell, offer, is_chain, recall, release, give_back, cool,
// lift, licenses and peek, and the local function int. It is for a program that, in one step,
// grants and writes something of its own on keys of the same hash tag: the program passes
// Library to lualink.Parse, and Settings.Args to its script.
func Library() string { return library }

// script is a script, its name, and which item of its reply is the server's time.
type script struct {
	redisconn.Script
	name string
	now  int
}

type scripts struct{ grant, release, leave, cool, peek, restore, raise, licenses script }

func newScripts() scripts {
	parsed := sync.OnceValue(func() *lualink.Library { return lualink.Parse(library) })
	made := func(name string, now int) script {
		return script{redisconn.NewScript(func() string { return source(name) }, parsed), name, now}
	}
	return scripts{
		grant: made("grant", 5), release: made("release", 2), leave: made("leave", 2), cool: made("cool", 1),
		peek: made("peek", 7), restore: made("restore", 1), raise: made("raise", 2), licenses: made("licenses", 0),
	}
}

// Tag returns the bucket of a token's name: its first two characters. With names in
// base32 there are 1,024 buckets.
func Tag(token string) string {
	return token[:min(2, len(token))]
}

// checkName refuses what can't be a key. Its error does not show the text, which may be a token
// that was given for its name. No regexp: compiling one of this length costs each start 0.4 ms.
func checkName(token string) error {
	const good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	if len(token) < 3 || len(token) > 128 || strings.Trim(token, good) != "" {
		return ErrName
	}
	return nil
}
