// Command layers draws which of our packages import which, and its test holds them to the
// layers below.
//
//	go run ./internal/layers          print the picture
//	go run ./internal/layers -write   write it into docs/architecture.md
package main

// layer is a row of packages. A package imports packages of lower layers alone, and those
// of its own group.
type layer struct {
	name   string
	groups []string // a path stands for itself and for what lies under it
	tests  bool     // for tests and tools: not in the picture
}

// layers are all packages, the highest first. Where two groups match, the longer path wins.
var layers = []layer{
	{name: "commands", groups: []string{"cmd/worker", "cmd/enqueue"}},
	{name: "settings", groups: []string{"internal/config"}},
	{name: "tests' worlds", groups: []string{"internal/web/console/consoletest", "internal/web/api/apitest"}, tests: true},
	{name: "HTTP and local runs", groups: []string{"internal/web/api", "internal/web/console", "internal/localrun", "internal/webhook"}},
	{name: "what Go programs import", groups: []string{"tasks"}},
	{name: "a token's limits, for Go programs", groups: []string{"quota"}},
	{name: "mechanism and decisions", groups: []string{"internal/engine", "internal/control"}},
	{name: "state", groups: []string{"internal/ledger", "internal/schedule"}},
	{name: "rows", groups: []string{"internal/rows"}},
	{name: "ground", groups: []string{"internal/quota", "internal/vault", "internal/wolkvox", "internal/membership", "internal/breaker",
		"internal/web/guard", "internal/localrun/wal", "internal/localrun/inproc", "internal/leasttime", "internal/say", "internal/seen", "internal/tracing", "internal/version"}},
	{name: "Redis", groups: []string{"internal/redisconn"}},
	{name: "scripts put together", groups: []string{"internal/lualink"}},
	{name: "tests and tools", groups: []string{"internal/testkit", "internal/simtime", "internal/layers", "examples"}, tests: true},
}

// place is where an import may stand outside of tests.
type place struct {
	what  string   // the import path, and what lies under it
	where []string // folders, and what lies under them
}

var places = []place{
	{"github.com/hibiken/asynq", []string{"internal/engine", "cmd"}},
	{"github.com/alicebob/miniredis", []string{"internal/localrun/inproc", "internal/testkit", "internal/web/console/consoletest", "internal/web/api/apitest"}},
	{"habilita/internal/testkit/wolkvoxtest", []string{"internal/testkit", "cmd/worker", "internal/localrun", "internal/web/console/consoletest", "tasks/taskstest"}},
	{"testing", []string{"internal/testkit", "internal/web/console/consoletest", "internal/web/api/apitest", "tasks/taskstest"}},
}

// public are what other programs import. Nothing that only tests need may come with them.
var public = []string{"tasks", "quota"}

// forTests is what may not come with public, however indirectly.
var forTests = []string{"github.com/alicebob/miniredis", "habilita/internal/testkit", "testing"}
