package main

const streamingGo = "internal/web/guard/streaming.go"

// streamingMutations are of bodies that come in slowly.
var streamingMutations = []mutation{
	{
		"uploads that stall", "the rest of a body that failed is waited for without end",
		in(streamingGo, "case err == io.EOF:", "case err != nil:"),
		"./internal/web/api", "TestUploadsThatStall",
	},
	{
		"uploads that stall", "the answer waits for the rest of the body without end",
		in(streamingGo, "if r.ContentLength == 0 {", "if r.ContentLength != 1 {"),
		"./internal/web/api", "TestUploadsThatStall",
	},
	{
		"uploads that stall", "what came before ends with the connection",
		in(streamingGo, "endingWith(s.base, context.WithoutCancel(ctx))", "endingWith(s.base, ctx)"),
		"./internal/web/api", "TestUploadsThatStall",
	},
	{
		"uploads that stall", "a slow one is given up",
		in(streamingGo, "b.rc.SetReadDeadline(until)", "error(nil)"),
		"./internal/web/api", "TestUploadsThatAreSlow",
	},
}

// meterMutations are of metrics, and of the pages that read much.
var meterMutations = []mutation{
	{
		"slots reclaimed are counted", "those of a run's first step are not",
		in(recordGo, "r.meter.reclaimed.Add(float64(step.Reclaimed))\n\tr.probing(step, probe)\n\tr.handOver(ctx, step, err)", "r.probing(step, probe)\n\tr.handOver(ctx, step, err)"),
		"./internal/engine", "TestEveryReclaimedSlotCounts",
	},
	{
		"slots reclaimed are counted", "those of a run's later steps are not",
		in(recordGo, "r.meter.reclaimed.Add(float64(step.Reclaimed))\n\tr.probing(step, probe)\n\tr.handOver(lasting, step, err)", "r.probing(step, probe)\n\tr.handOver(lasting, step, err)"),
		"./internal/engine", "TestEveryReclaimedSlotCounts",
	},
	{
		"a Registerer can be used again", "a worker that ended keeps it",
		in("internal/engine/worker.go", "\tw.vendor.CloseIdle()\n\tw.unregister()\n", "\tw.vendor.CloseIdle()\n"),
		"./internal/engine", "TestWorkersOfOneRegisterer",
	},
	{
		"the page of tokens reads what it shows", "every token is read at each look",
		in("internal/web/hub/hub.go", "min(max(h.fresh, time.Duration(h.share)*r.at.Sub(r.began)), maxDistance)", "h.fresh"),
		"./internal/web/hub", "TestWhatTakesLongIsReadSeldom",
	},
}

// receiptMutations are of what a producer is told of its call.
var receiptMutations = []mutation{
	{
		"a lost reply of an append", "a new call is told as a duplicate",
		in(appendLua, "    if looked and letter", "    if false and letter"),
		"./internal/engine", "TestLostReplyOfAnAppend",
	},
	{
		"a lost reply of an append", "a group of a bulk that runs again does not look what became of it",
		in(appendLua, "      if was == 'n' then", "      if false then"),
		"./internal/engine", "TestLostReplyInABulk/redis/all_are_new",
	},
	{
		"a lost reply of an append", "a group with some known calls is recorded as all new",
		in(appendLua, "(letters and table.concat(letters) or 'n')", "'n'"),
		"./internal/engine", "TestLostReplyInABulk/redis/some_were_there",
	},
	{
		"a lost reply of an append", "what became of one group is taken for that of another",
		in(appendLua, "string.sub(about[6], 1, #group + 1) == group .. ' ' then", "true then group = string.match(about[6], '^%w*')"),
		"./internal/engine", "TestLostReplyInABulk/redis/some_were_there",
	},
	{
		"a lost reply of an append", "a call that was there is told as new",
		in("internal/engine/producer.go", "a.Looked = ledger.Landing(seen.Received[0].Landings[0]) == ledger.Fresh", "a.Looked = true"),
		"./internal/engine", "TestLostReplyOfAnAppend",
	},
	{
		"a lost reply of a decision", "what it did is told as nothing",
		in(onceLua, "if told then return cjson.decode(told)[1] end", ""),
		"./internal/ledger", "TestLostReplyOfADecision",
	},
	{
		"a full Redis", "a run that lives is not renewed",
		in("internal/ledger/lua/run.lua", "if op ~= 'begin' then redis.call('HDEL', KEYS[1], '') end", ""),
		"./internal/ledger", "TestRunInFullRedis/redis",
	},
	{
		"a full Redis", "the end of a run is not noted",
		in("internal/ledger/lua/complete.lua", "  redis.call('HDEL', KEYS[1], '')\n", ""),
		"./internal/ledger", "TestRunInFullRedis/redis",
	},
	{
		"a full Redis", "no worker can look at the epochs",
		in("internal/ledger/lua/epoch.lua", "redis.call('HDEL', key, '')\n", ""),
		"./internal/ledger", "TestFullRedis/redis",
	},
	{
		"a full Redis", "the membership of workers lapses",
		in("internal/membership/lua/membership.lua", "redis.call('ZREM', alive, '')", ""),
		"./internal/membership", "TestFullRedis/redis",
	},
	{
		"a full Redis", "licences can't be set",
		in("internal/quota/lua/licenses.lua", "redis.call('SREM', KEYS[1] .. 'lent', ARGV[1])\n", ""),
		"./internal/ledger", "TestFullRedis/redis",
	},
	{
		"what can't be read is told", "an error behind what is not there is none",
		in("internal/ledger/unread.go", "	if !errors.Is(err, redis.Nil) {\n		return err\n	}\n", "	if errors.Is(err, redis.Nil) {\n		return nil\n	}\n"),
		"./internal/ledger", "TestWhatCantBeReadIsTold",
	},
	{
		"a lost reply of a decision", "a lift is told as nothing",
		in("internal/quota/lua/cool.lua", " or redis.call('EXISTS', told) == 1", ""),
		"./internal/quota", "TestMiniredis/lost_reply_of_a_lift",
	},
	{
		"new rows behind a conflict", "those of a group's last run are enqueued",
		in("internal/ledger/group.go", "g.head.withhold = g.head.withhold || i == len(g.runs)-1", "_ = i"),
		chainPkg, "TestWithholdIsOfEveryRun",
	},
	{
		"time left of a batch", "the first look counts as much as all that follow it",
		in("internal/control/progress.go", "r.rate += (current - r.rate) * weight / r.weight", "r.rate += (current - r.rate) * max(weight/smoothing.Seconds(), 0)"),
		"./internal/control", "TestPaceOfTheFirstLook",
	},
	{
		"past times", "one before 1970 is sent as it is",
		in("internal/ledger/group.go", "max(0, h.at.UnixMilli())", "h.at.UnixMilli()"),
		"./internal/engine", "TestTimesOfCalls/redis",
	},
	{
		"past times", "one however far ahead is taken",
		in("internal/engine/call.go", "time.Until(t) > MaxAhead", "false"),
		"./internal/engine", "TestTimesOfCalls/redis",
	},
	{
		"a repeat under an Idempotency-Key is answered as the first", "what the first was answered is not kept",
		in("internal/web/api/calls.go", "case record.answer != \"\":", "case false:"),
		"./internal/web/api", "TestIdempotencyKey",
	},
	{
		"a repeat under an Idempotency-Key is answered as the first", "the key outlives the record of its call",
		in("internal/web/api/api.go", "min(IdempotencyLife, cmp.Or(o.Retention, IdempotencyLife))", "max(IdempotencyLife, cmp.Or(o.Retention, 0))"),
		"./internal/web/api", "TestAKeyDoesNotOutliveItsCall",
	},
	{
		"a Redis that others use too", "it is not new to another prefix or database",
		in("internal/membership/registry.go", "source, prefix, database)", "source, \"\", database*0)"),
		"./internal/membership", "TestUsedIsOfThePrefixAndDatabase",
	},
}
