package main

const canaryGo = "tasks/canary.go"

// producerMutations are of how a batch is enqueued.
var producerMutations = []mutation{
	{
		"a batch in use is not purged", "a batch may be deleted although something was noted meanwhile",
		in("internal/batch/lua/delete.lua", "if ARGV[2] ~= mark then return '' end", ""),
		"./internal/batch", "TestDelete",
	},
	{
		"a batch in use is not purged", "a run that lives is not looked for",
		in("internal/batch/lua/delete.lua", "redis.call('EXISTS', KEYS[3]) == 1 or ", ""),
		"./internal/batch", "TestDelete",
	},
	{
		"a batch in use is not purged", "a producer that may append still is not looked for",
		in("internal/batch/lua/delete.lua", " or tonumber(mark) + tonumber(ARGV[1]) > now", ""),
		"./internal/batch", "TestDelete",
	},
	{
		"a batch in use is not purged", "buckets are noted in a batch that is gone",
		in("internal/batch/lua/note.lua", "if not have[1] or have[2] ~= ARGV[1] then return { 0, 0 } end", ""),
		"./internal/batch", "TestGoneStaysSo",
	},
	{
		"a batch in use is not purged", "a late append is taken",
		in("internal/chain/lua/append.lua", "now > tonumber(ARGV[5]) then", "false then"),
		"./tasks", "TestPurgeMeetsAProducer",
	},
	{
		"a batch in use is not purged", "a single call does not make anew a batch that was deleted",
		in("tasks/producer.go", "if err = p.join(ctx, c, &a); errors.Is(err, batch.ErrNoBatch) {", "if err = p.join(ctx, c, &a); false {"),
		"./tasks", "TestPurgeMeetsAProducer",
	},
	{
		"a batch in use is not purged", "one that was made anew is taken out of the list",
		in("internal/batch/lua/unlist.lua", "if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end", ""),
		"./internal/batch", "TestTidy",
	},
	{
		"entries of the index go with their calls", "one that leads nowhere stays",
		in("internal/chain/lua/tidy_ids.lua", "gone = gone + redis.call('HDEL', KEYS[1], field)", ""),
		"./internal/chain", "TestTidyIDs",
	},
	{
		"entries of the index go with their calls", "one goes at once",
		in("internal/chain/lua/tidy_ids.lua", "tonumber(seen) + tonumber(ARGV[1]) <= now", "true"),
		"./internal/chain", "TestTidyIDs",
	},
	{
		"entries of the index go with their calls", "one that was indexed again goes too",
		in("internal/chain/lua/tidy_ids.lua", "if redis.call('HGET', KEYS[1], field) == seen then", "if true then"),
		"./internal/chain", "TestTidyIDsComparesAndSets",
	},
	{
		"canaries of a batch", "the others are enqueued without a wait for them",
		in(canaryGo, "if err := f.awaitCanaries(ctx, j.name); err != nil {", "if err := ctx.Err(); err != nil {"),
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
		in("tasks/batch.go", "if b.retold < len(j.told) && j.told[b.retold] == h {", "if len(j.told) > 0 {"),
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
		in("internal/httpapi/calls.go", "c.ID, own = record.id, true", "c.ID, own = key, len(record.id) > 0"),
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
	{
		"identity of rows", "equal rows are one",
		in("tasks/identity.go", "if count := *at; count > 1 {", "if count := *at; false && count > 1 {"),
		"./tasks", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"identity of rows", "the ref is no part of it",
		in("internal/chain/keys.go", "n.Row(number, server, token, name, ref)", `n.Row(number, server, token, name, "")`),
		"./tasks", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"identity of rows", "an id that stands twice in a file is known",
		in("tasks/batchrun.go", "	if first > 0 {", "	if false {"),
		"./tasks", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"conflict of ids", "an id that is known for another server is known",
		in("internal/chain/lua/append.lua", "if rec[R.server] ~= text[R.server] or ", "if "),
		"./tasks", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"conflict of ids", "what stands behind it in the same group is appended",
		in("internal/chain/lua/append.lua", "if policy ~= 'skip' and (letter == 'c' or letter == 'k') then blocked[id] = true end", ""),
		"./tasks", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"rows behind a rejected one", "they are enqueued",
		in("tasks/batchrun.go", "b.marks.missing(b.p.namer.Name(string(c.Token)), c.Chain, !unknown)", "_ = unknown"),
		"./tasks", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"rows behind a rejected one", "policy skip withholds them, too",
		in("tasks/batchrun.go", "	if b.policy == string(batch.Skip) {\n		return\n	}", ""),
		"./tasks", "TestSkipWithholdsNothing",
	},
	{
		"prune", "a single call that joined is missing",
		in("tasks/missing.go", "if c.Row > 0 && open &&", "if open &&"),
		"./tasks", "TestPrune",
	},
	{
		"prune", "it prunes though a row was left out",
		in("tasks/missing.go", "	if !sum.Complete() {\n		sum.NotPruned = ErrRowsMissing\n		return nil\n	}", ""),
		"./tasks", "TestPrune",
	},
	{
		"prune", "it prunes though another run lives",
		in("internal/batch/lua/run.lua", "or op == 'alone' and others > 0 then", "then"),
		"./tasks", "TestPrune",
	},
	{
		"prune", "a run begins while another prunes",
		in("internal/batch/lua/run.lua", "if op == 'begin' and alone and alone ~= run or", "if"),
		"./tasks", "TestRunsThatPruneAreAlone",
	},
	{
		"prune", "a pruned row that comes back stays cancelled",
		in("internal/chain/lua/append.lua", "elseif raw and string.sub(raw, 3, 3) ~= 'p' then", "elseif raw then"),
		"./tasks", "TestPrune",
	},
	{
		"prune", "a void reference of a pruned call counts",
		in("internal/chain/lua/library.lua", " and times(rec) == t end", " end"),
		"./internal/chain", "TestModel",
	},
	{
		"lease of a run", "a batch is settled while it is filled",
		in("internal/operator/status.go", "Settled: c.Settled() && !m.Live,", "Settled: c.Settled(),"),
		"./tasks", "TestBatchIsFilled",
	},
	{
		"file that is refused as a whole", "it leaves a batch",
		in("tasks/batchopen.go", "if b.look || b.own.Rows == 0 {", "if b.look {"),
		"./tasks", "TestRefusedAsAWhole",
	},
	{
		"batch of an older version", "it takes rows",
		in("tasks/batchopen.go", "if chain.IsOrdinal(c.Key) {", "if false {"),
		"./tasks", "TestBatchOfAnOlderVersion",
	},
}
