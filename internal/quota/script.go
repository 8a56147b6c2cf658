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

type scripts struct {
	grant, release, leave, cool, peek, restore, raise, licenses *redis.Script
}

func newScripts() scripts {
	made := func(main string) *redis.Script { return redis.NewScript(library + main) }
	return scripts{
		made(grantMain), made(releaseMain), made(leaveMain), made(coolMain), made(peekMain), made(restoreMain), made(raiseMain),
		made(licensesMain),
	}
}
