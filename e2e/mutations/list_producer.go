package main

const canaryGo = "internal/engine/canary.go"

// producerMutations are of how a batch is enqueued.
var producerMutations = []mutation{
	{
		"a batch in use is not purged", "a batch may be deleted although something was noted meanwhile",
		in("internal/ledger/lua/delete.lua", "if ARGV[2] ~= mark then return '' end", ""),
		"./internal/ledger", "TestDelete",
	},
	{
		"a batch in use is not purged", "a run that lives is not looked for",
		in("internal/ledger/lua/delete.lua", "redis.call('EXISTS', KEYS[3]) == 1 or ", ""),
		"./internal/ledger", "TestDelete",
	},
	{
		"a batch in use is not purged", "a producer that may append still is not looked for",
		in("internal/ledger/lua/delete.lua", " or tonumber(mark) + tonumber(ARGV[1]) > now", ""),
		"./internal/ledger", "TestDelete",
	},
	{
		"a batch in use is not purged", "buckets are noted in a batch that is gone",
		in("internal/ledger/lua/note.lua", "if not have[1] or have[2] ~= ARGV[1] then return { 0, 0 } end", ""),
		"./internal/ledger", "TestGoneStaysSo",
	},
	{
		"a batch in use is not purged", "a late append is taken",
		in("internal/ledger/lua/append.lua", "now > tonumber(ARGV[5]) then", "false then"),
		"./internal/engine", "TestPurgeMeetsAProducer",
	},
	{
		"a batch in use is not purged", "a single call does not make anew a batch that was deleted",
		in("internal/engine/producer.go", "if err = p.join(ctx, c, &a); errors.Is(err, ledger.ErrNoBatch) {", "if err = p.join(ctx, c, &a); false {"),
		"./internal/engine", "TestPurgeMeetsAProducer",
	},
	{
		"who waited longest for a server is next", "a chain that is dispatched anew goes behind the others",
		in("internal/engine/hosts.go", "w.Dispatch = f\n\t\treturn false, true", "w.Dispatch = f"),
		"./internal/engine", "TestPlaceGoesToWhoWaitedLongest",
	},
	{
		"who waited longest for a server is next", "one that waited at another worker goes behind the others",
		in("internal/ledger/lua/library.lua", "local since = now - WAIT_THERE", "local since = now - 0"),
		"./internal/ledger", "TestChainOfAWorkerThatDiedWaiting",
	},
	{
		"a batch that was put off keeps its time", "a row that is new is due at once",
		in("internal/engine/batchopen.go", "b.NotBefore = counts.FirstDue", "_ = counts.FirstDue"),
		"./internal/engine", "TestPutOffBatchKeepsItsTime",
	},
	{
		"a batch in use is not purged", "one that was made anew is taken out of the list",
		in("internal/ledger/lua/unlist.lua", "if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end", ""),
		"./internal/ledger", "TestTidy",
	},
	{
		"entries of the index go with their calls", "one that leads nowhere stays",
		in("internal/ledger/lua/tidy_ids.lua", "gone = gone + redis.call('HDEL', KEYS[1], field)", ""),
		"./internal/ledger", "TestTidyIDs",
	},
	{
		"entries of the index go with their calls", "one goes at once",
		in("internal/ledger/lua/tidy_ids.lua", "tonumber(string.sub(seen, -13)) + tonumber(ARGV[1]) <= now", "true"),
		"./internal/ledger", "TestTidyIDs",
	},
	{
		"entries of the index go with their calls", "one that was indexed again goes too",
		in("internal/ledger/lua/tidy_ids.lua", "if redis.call('HGET', KEYS[1], field) == seen then", "if true then"),
		"./internal/ledger", "TestTidyIDsComparesAndSets",
	},
	{
		"entries of the index go with their calls", "those of an older version's bulks stay",
		in("internal/ledger/index.go", "return n.Val() > 0", "return n.Val() >= 0"),
		"./internal/ledger", "TestTidyShortIDs",
	},
	{
		"entries of the index go with their calls", "those of a bulk that came back go too",
		in("internal/ledger/lua/index.lua", "if text ~= value then", "if #text > #value then"),
		"./internal/ledger", "TestTidyBulkIDs",
	},
	{
		"a call is found by its id", "one of a large bulk is noted anew each time",
		in("internal/ledger/lua/index.lua", "if not has(text, entry) then", "if true then"),
		"./internal/ledger", "TestBulkEntriesStandTogether",
	},
	{
		"a call is found by its id", "the long lists of a large bulk are not read",
		in("internal/ledger/index.go", "{bulkIDs, moreIDs} {\n\t\tfor list", "{bulkIDs} {\n\t\tfor list"),
		"./internal/ledger", "TestBulkEntriesStandTogether",
	},
	{
		"scripts are short", "a group has as many tokens as calls",
		in("internal/engine/batcher.go", " || into.Runs() >= perRuns", ""),
		"./internal/engine", "TestBatcherBoundsGroups",
	},
	{
		"a call is found by its id", "one of a bulk is told twice after an upgrade",
		in("internal/ledger/index.go", "return c.Batch == batch && c.TokenID == token.field", "return false"),
		"./internal/ledger", "TestBulkEntriesFindCalls",
	},
	{
		"a call is found by its id", "only the first token of a bulk's entry is looked at",
		in("internal/ledger/index.go", "add(batch, token.field, GivenKey(id)); err != nil {", "add(batch, token.field, GivenKey(id)); err != nil || len(out) > 0 {"),
		"./internal/ledger", "TestBulkEntriesFindCalls",
	},
	{
		"a local job bears a busy machine", "it gives its own Redis up after 5 s",
		in("internal/localrun/inproc/redis.go", "?read_timeout=5m", ""),
		"./internal/localrun", "TestRedisInsideIsWaitedFor",
	},
	{
		"a local job bears a busy machine", "it makes as many calls at once as a worker",
		in("cmd/enqueue/run.go", "f.Lookup(\"concurrency\").DefValue = localConcurrency", ""),
		"./cmd/enqueue", "TestStories/runcalls",
	},
	{
		"a dry run of a local job", "it writes into the journal what was asked for",
		in("internal/localrun/job.go", "if !j.dry {", "if true {"),
		"./internal/localrun", "TestLookChangesNothing",
	},
	{
		"a dry run of a local job", "it does not look at the journal",
		in("internal/localrun/work.go", "if !j.resumed {\n		o.Policy", "if true {\n		o.Policy"),
		"./cmd/enqueue", "TestStories/runcalls",
	},
	{
		"pipelines are short", "as many large groups as small ones",
		in("internal/engine/batcher.go", "return calls <= perGroup && runs <= perRuns", "return true"),
		"./internal/engine", "TestBatcherBoundsPipelines",
	},
	{
		"groups of a bulk fill", "each goes out at the first tick",
		in("internal/engine/batcher.go", "case all || group.stood:", "case true:"),
		"./internal/engine", "TestBatcherLetsGroupsFill",
	},
	{
		"groups of a bulk fill", "one that does not fill stays until the end",
		in("internal/engine/batcher.go", "group.stood = true", "group.stood = false"),
		"./internal/engine", "TestBatcherLetsGroupsFill",
	},
	{
		"canaries of a batch", "the others are enqueued without a wait for them",
		in(canaryGo, "if err := f.awaitCanaries(ctx, j.name); err != nil {", "if err := ctx.Err(); err != nil {"),
		"./internal/engine", "TestProducerDiesAmongTheCanaries",
	},
	{
		"canaries of a batch", "a command without --canary does not look whether it holds",
		in(canaryGo, "case b.canary.first ||", "case true ||"),
		"./internal/engine", "TestCanariesFail",
	},
	{
		"canaries of a batch", "a single call that joins it is one of them",
		in("internal/ledger/counts.go", "if err != nil || counts.Total == len(fields) {", "if true {"),
		"./internal/engine", "TestCallThatJoinsIsNoCanary",
	},
	{
		"canaries of a batch", "an error of the second reading is taken for a row that was rejected",
		in("internal/engine/batch.go", "if b.retold < len(j.told) && j.told[b.retold] == h {", "if len(j.told) > 0 {"),
		"./internal/engine", "TestProducerDiesAfterTheRelease",
	},
	{
		"a time that has passed is now", "one before 1970 is given to the script with its sign",
		in("internal/ledger/group.go", "max(0, h.at.UnixMilli())", "h.at.UnixMilli()"),
		"./internal/engine", "TestTimesOfCalls",
	},
	{
		"a call is put off for ten years at most", "it may be put off for longer",
		in("internal/engine/call.go", "if TooFar(c.At) {", "if false {"),
		"./internal/engine", "TestTimesOfCalls",
	},
	{
		"what resumes a producer keeps its time", "the command that goes on is printed without it",
		in("cmd/enqueue/bulk.go", `"notify", "at"}`, `"notify"}`),
		"./cmd/enqueue", "TestStories/scheduled",
	},
	{
		"an Idempotency-Key is its client's own", "the call's id is the key itself",
		in("internal/web/api/calls.go", "c.ID, own = record.id, true", "c.ID, own = key, len(record.id) > 0"),
		"./internal/web/api", "TestIdempotencyKey",
	},
	{
		"a program's limiter shares with the workers", "its settings are not the workers'",
		in("internal/engine/producer.go", "time.ParseDuration(agreed[name])", "time.ParseDuration(\"\")"),
		"./internal/engine", "TestLimiterSharesWithAWorker",
	},
	{
		"tokens print nothing", "one that is written as JSON does",
		in("internal/engine/call.go", "func (Token) MarshalJSON() ([]byte, error) { return []byte(`\"` + redacted + `\"`), nil }",
			"func (t Token) MarshalJSON() ([]byte, error) { return []byte(`\"` + string(t) + `\"`), nil }"),
		"./tasks", "TestTokenPrintsNothing",
	},
	{
		"identity of rows", "equal rows are one",
		in("internal/engine/identity.go", "if count := *at; count > 1 {", "if count := *at; false && count > 1 {"),
		"./internal/engine", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"identity of rows", "the ref is no part of it",
		in("internal/ledger/keys.go", "n.Row(rowMark[0], number, server, token, name, ref)", `n.Row(rowMark[0], number, server, token, name, "")`),
		"./internal/engine", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"identity of rows", "an id that stands twice in a file is known",
		in("internal/engine/batchrun.go", "	if first > 0 {", "	if false {"),
		"./internal/engine", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"conflict of ids", "an id that is known for another server is known",
		in("internal/ledger/lua/append.lua", "if rec[R.server] ~= cjson.decode('[' .. server .. ']')[1] or ", "if "),
		"./internal/engine", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"conflict of ids", "what stands behind it in the same group is appended",
		in("internal/ledger/lua/append.lua", "if blocks and (letter == 'c' or letter == 'k') then blocked[id] = true end", ""),
		"./internal/engine", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"rows behind a rejected one", "they are enqueued",
		in("internal/engine/batchrun.go", "b.marks.missing(b.p.tokenIDs.Name(string(c.Token)), c.Chain, !unknown, c.Row)", "_ = unknown"),
		"./internal/engine", "TestRowsAreKnownByWhatTheySay",
	},
	{
		"rows behind a rejected one", "policy skip withholds them, too",
		in("internal/engine/batchrun.go", "	if b.skips() {\n		return\n	}", ""),
		"./internal/engine", "TestSkipWithholdsNothing",
	},
	{
		"prune", "a single call that joined is missing",
		in("internal/engine/identity.go", "if c.Row > 0 && open &&", "if open &&"),
		"./internal/engine", "TestPrune",
	},
	{
		"prune", "it prunes though a row was left out",
		in("internal/engine/identity.go", "	if !sum.Complete() {\n		return ErrRowsMissing\n	}", ""),
		"./internal/engine", "TestPrune",
	},
	{
		"prune", "a dry run does not say that the run would prune nothing",
		in("internal/engine/batch.go", "		sum.NotPruned = b.mayPrune(sum)", ""),
		"./cmd/enqueue", "TestStories",
	},
	{
		"calls behind a held head", "those that were cancelled count",
		in("internal/ledger/chain.go", "			n += int(redisconn.Int(v))", "			n += int(redisconn.Int(v)) + 1"),
		"./cmd/enqueue", "TestStories",
	},
	{
		"prune", "it prunes though another run lives",
		in("internal/ledger/lua/run.lua", "or op == 'alone' and others > 0 then", "then"),
		"./internal/engine", "TestPrune",
	},
	{
		"prune", "a run begins while another prunes",
		in("internal/ledger/lua/run.lua", "if op == 'begin' and alone and alone ~= run or", "if"),
		"./internal/engine", "TestRunsThatPruneAreAlone",
	},
	{
		"prune", "a pruned row that comes back stays cancelled",
		in("internal/ledger/lua/append.lua", "elseif raw and string.sub(raw, 3, 3) ~= 'p' then", "elseif raw then"),
		"./internal/engine", "TestPrune",
	},
	{
		"prune", "a void reference of a pruned call counts",
		in(baseLua, " and times(rec) == t end", " end"),
		"./internal/engine", "TestPrunedRowIsMadeWhereItCameBack",
	},
	{
		"lease of a run", "a batch is settled while it is filled",
		in("internal/control/status.go", "c.Settled() && !m.Live && err == nil,", "c.Settled() && err == nil,"),
		"./internal/engine", "TestBatchIsFilled",
	},
	{
		"file that is refused as a whole", "it leaves a batch",
		in("internal/engine/batchopen.go", "if b.Look || b.own.Rows == 0 {", "if b.Look {"),
		"./internal/engine", "TestRefusedAsAWhole",
	},
	{
		"batch of an older version", "it takes rows",
		in("internal/engine/batchopen.go", "if ledger.IsOrdinal(c.Key) {", "if ledger.IsOrdinal(c.Key) && false {"),
		"./internal/engine", "TestBatchOfAnOlderVersion",
	},
	{
		"a prefix shares nothing with another", "all have one queue of asynq",
		in("internal/engine/options.go", "queueNames(o.Prefix, o.Queues)", "queueNames(quota.DefaultPrefix, o.Queues)"),
		"./internal/engine", "TestAnotherPrefixHasAnotherQueue",
	},
	{
		"a prune is done as a whole or not at all", "conflicting calls are replaced beside another run",
		in("internal/engine/batchopen.go", "b.replace = b.notPruned == nil", "_ = b.notPruned"),
		"./internal/engine", "TestPruneReplacesOnlyIfItMayPrune",
	},
	{
		"a prune is done as a whole or not at all", "conflicting calls are replaced though it is refused",
		in("internal/engine/batch.go", "b.replace = b.notPruned == nil && l.sum.Replaced > 0", "b.replace = l.sum.Replaced > 0"),
		"./internal/engine", "TestPruneReplacesOnlyIfItMayPrune",
	},
	{
		"a corrected row is made", "policy cancel drops it with the rows of the run before",
		in("internal/engine/batchopen.go", "have.Policy == ledger.PolicyCancel && !b.Look", "have.Policy == ledger.PolicyCancel && b.Look"),
		"./internal/engine", "TestCorrectedRowIsMadeAfterItsChainWasDropped",
	},
	{
		"a call that is put off begins on time", "no worker is told of it",
		in("internal/ledger/lua/append.lua", "if delayed[1] then standing = 1 end", ""),
		"./internal/ledger", "TestScheduledCalls",
	},
}
