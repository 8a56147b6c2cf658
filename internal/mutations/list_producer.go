package main

const canaryGo = "tasks/canary.go"

// producerMutations are of how a batch is enqueued.
var producerMutations = []mutation{
	{
		"canaries of a batch", "the others are enqueued without a wait for them",
		in(canaryGo, "if err := f.awaitCanaries(ctx, name); err != nil {", "if err := ctx.Err(); err != nil {"),
		"./tasks", "TestProducerDiesAmongTheCanaries",
	},
	{
		"canaries of a batch", "a command without --canary does not look whether it holds",
		in(canaryGo, "case c.first || !m.Holds():", "case true:"),
		"./tasks", "TestCanariesFail",
	},
	{
		"canaries of a batch", "a single call that joins it is one of them",
		in("internal/chain/countsof.go", "if err != nil || counts.Total == len(fields) {", "if true {"),
		"./tasks", "TestCallThatJoinsIsNoCanary",
	},
	{
		"canaries of a batch", "an error of the second reading is taken for a row that was rejected",
		in(canaryGo, "if len(told) > 0 && told[0] == hash(err) {", "if told = told[:0]; true {"),
		"./tasks", "TestProducerDiesAfterTheRelease",
	},
	{
		"a time that has passed is now", "one before 1970 is given to the script with its sign",
		in("internal/chain/group.go", "max(0, g.at.UnixMilli())", "g.at.UnixMilli()"),
		"./tasks", "TestTimesOfCalls",
	},
	{
		"a call is put off for ten years at most", "it may be put off for longer",
		in("tasks/call.go", "if TooFar(c.At) {", "if false {"),
		"./tasks", "TestTimesOfCalls",
	},
	{
		"what resumes a producer keeps its time", "the command that goes on is printed without it",
		in("cmd/enqueue/bulk.go", "return cmd + atFlag(r.at)", "return cmd"),
		"./cmd/enqueue", "TestStories/scheduled",
	},
	{
		"an Idempotency-Key is its client's own", "the call's id is the key itself",
		in("internal/httpapi/calls.go", "c.ID, own = id, true", "c.ID, own = key, len(id) > 0"),
		"./internal/httpapi", "TestIdempotencyKey",
	},
	{
		"a program's limiter shares with the workers", "its settings are not the workers'",
		in("tasks/limiter.go", "if v, ok := agreed[name]; ok && free {", "if v, ok := agreed[name]; ok && v == \"\" && free {"),
		"./tasks", "TestLimiterSharesWithAWorker",
	},
	{
		"tokens print nothing", "one that is written as JSON does",
		in("tasks/token.go", "func (Token) MarshalJSON() ([]byte, error) { return []byte(`\"` + redacted + `\"`), nil }",
			"func (t Token) MarshalJSON() ([]byte, error) { return []byte(`\"` + string(t) + `\"`), nil }"),
		"./tasks", "TestTokenPrintsNothing",
	},
}
