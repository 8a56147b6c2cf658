package main

const (
	reportLua = "internal/breaker/lua/report.lua"
	probeLua  = "internal/breaker/lua/probe.lua"
	healthPkg = "./internal/breaker"
)

// healthMutations are of the breaker of a server.
var healthMutations = []mutation{
	{
		"breaker of a server", "its calls are made all the same",
		in(ledgerLua, "if closed then return defer(", "if false then return defer("),
		chainPkg, "TestServerThatIsAway",
	},
	{
		"breaker of a server", "all chains come at the moment of the probe",
		in(ledgerLua, "return math.max(tonumber(till), now + 1000)", "return tonumber(till) > now and tonumber(till) or nil"),
		chainPkg, "TestServerThatIsAwayIsNotStormed",
	},
	{
		"breaker of a server", "it never opens",
		in(reportLua, "s.run >= tonumber(ARGV[1])", "false"),
		healthPkg, "TestServerOpens",
	},
	{
		"breaker of a server", "one chain's trouble is the server's",
		in(reportLua, " and chains >= tonumber(ARGV[2])", ""),
		healthPkg, "TestServerStaysClosed",
	},
	{
		"breaker of a server", "an answer does not close it",
		in(reportLua, "    s.state, s.next, s.step = 'closed', 0, 0\n", ""),
		healthPkg, "TestProbes",
	},
	{
		"breaker of a server", "every worker probes",
		in(probeLua, " or now < s.next then", " then"),
		healthPkg, "TestManyAskForOneProbe",
	},
	{
		"breaker of a server", "a full Redis keeps it from opening",
		in(reportLua, "redis.call('HDEL', KEYS[1], '')", ""),
		healthPkg, "TestFullRedis",
	},
	{
		"breaker of a server", "probes come no farther apart",
		in(reportLua, "math.min(s.step * 2, tonumber(ARGV[4]))", "s.step"),
		healthPkg, "TestProbes",
	},
	{
		"a full Redis", "a transaction that the ACL refused is called full",
		in("internal/redisconn/errors.go", `redis.HasErrorPrefix(reply, "OOM")`, `begins(reply, "OOM", "EXECABORT")`),
		"./internal/redisconn", "TestFull",
	},
	{
		"a full Redis", "the refusal of Redis 6.2 within a script is not known",
		in("internal/redisconn/errors.go", ` || strings.Contains(reply.Error(), "OOM command not allowed")`, ""),
		"./internal/redisconn", "TestFull",
	},
	{
		"faults of the settings in one message", "a URL of Redis that can't be fails later",
		in("internal/config/table.go", "checked(&s.RedisURL, redisconn.CheckURL)", "checked(&s.RedisURL, func(v string) error { _ = redisconn.CheckURL(v); return nil })"),
		"./internal/config", "TestRedisURL",
	},
	{
		"defaults of settings", "a worker has another one than its settings say",
		in("internal/engine/options.go", "cmp.Or(o.ShutdownTimeout, 75*time.Second)", "cmp.Or(o.ShutdownTimeout, 60*time.Second)"),
		"./internal/config", "TestDefaults",
	},
	{
		"one version of a build", "processes tell another one than --version",
		in("internal/membership/registry.go", "Version: version.Short()", "Version: version.Short()[:1]"),
		"./internal/membership", "TestSelf",
	},
}
