package main

// apiMutations are of the packages that programs import.
var apiMutations = []mutation{
	{
		"a program's grant that was not sent is given back", "it stays counted",
		in("quota/limiter.go", "g.in.GiveBack(ctx, g.held)", "g.in.Release(ctx, g.held)"),
		"./quota", "TestGrantKnowsItsLimiter",
	},
	{
		"a limiter ends with its client", "it goes on after Close",
		in("tasks/client.go", "(*quota.Limiter, error) {\n\tif c.closed.Load() {", "(*quota.Limiter, error) {\n\tif false {"),
		"./tasks", "TestLimiterOfAClient",
	},
	{
		"errors that a program decides by", "one that is wrapped is not found",
		in("tasks/errors.go", "return typed(e.Unwrap(), c)", "return nil"),
		"./tasks", "TestErrorsHaveAnExportedForm",
	},
	{
		"errors that a program decides by", "an error of the sequence does not say that its chain is unknown",
		in("tasks/errors.go", "return []error{e.error, engine.ErrChainUnknown}", "return []error{e.error}"),
		"./tasks", "TestSequenceSaysThatAChainIsUnknown",
	},
	{
		"a worker made like a client sees a restart of Redis", "its connections are not watched",
		in("internal/redisconn/open.go", "	u.OnConnect = both(u.OnConnect, o.Watch.onConnect(TheNode))\n", ""),
		"./internal/redisconn", "TestLikeIsTheSameRedis",
	},
	{
		"a worker made like a client sees a failover", "a client of Sentinels is copied",
		in("internal/redisconn/open.go", "if of.Addr == sentinelAddr {", "if false {"),
		"./internal/redisconn", "TestLikeRefusesWhatItCantCopy",
	},
	{
		"options of Go programs", "WaitReplicas has no effect",
		in("tasks/client.go", "WaitReplicas: o.WaitReplicas, ", ""),
		"./tasks", "TestWaitReplicas",
	},
	{
		"options of Go programs", "Queues has no effect",
		in("tasks/client.go", ", Queues: o.Queues,", ","),
		"./tasks", "TestQueues",
	},
	{
		"what Redis must be", "Valkey's Sentinel is taken for a Redis",
		in("internal/redisconn/preflight.go", `cmp.Or(info["redis_mode"], info["server_mode"])`, `cmp.Or(info["redis_mode"])`),
		"./internal/redisconn", "TestFindings",
	},
	{
		"public packages name what can be imported", "a method returns a type of an internal package",
		in("tasks/client.go", "func (c *Client) Close() error {", "// Settings are hidden.\nfunc (c *Client) Settings() (s limits.Settings) { return s }\n\n// Close closes.\nfunc (c *Client) Close() error {"),
		"./tasks", "TestExportedNamesCanBeUsed",
	},
	{
		"a cursor belongs to its list", "one of another batch is taken",
		in("internal/control/page.go", "sha256.Sum256([]byte(list))", "sha256.Sum256(nil)"),
		"./internal/control", "TestCursorOfAnotherList",
	},
	{
		"a refused call leaves its Idempotency-Key free", "it uses the key up",
		in("internal/web/api/calls.go", "if record.fresh && slices", "if false && slices"),
		"./internal/web/api", "TestIdempotencyKey",
	},
	{
		"what is missing is counted once", "prune tells what it counted before",
		in("internal/engine/identity.go", "if b.notPruned != nil && !counted {", "if b.notPruned != nil {"),
		"./internal/engine", "TestPruneCountsAgainAfterItsLook",
	},
	{
		"a prune can be given again", "nothing missing is another number",
		in("internal/engine/identity.go", "exactly != 0 && missing > 0 && missing", "exactly != 0 && missing"),
		"./internal/web/api", "TestPruneOfManyMustBeNamed",
	},
	{
		"missed ticks are told", "with a newer tick they are not",
		in("internal/schedule/definition.go", "(missed > 0 || now.Sub(tick) > Grace)", "now.Sub(tick) > Grace"),
		"./internal/schedule", "TestDecide",
	},
	{
		"a damaged journal is not taken for none", "it is, if nothing of it can be read",
		in("internal/localrun/job.go", "if j.worked && len(records) == 0 {", "if false {"),
		"./internal/localrun", "TestJournalWithoutItsFirstRecord",
	},
}
