package main

const (
	baseLua     = "internal/ledger/lua/base.lua"
	ledgerLua   = "internal/ledger/lua/library.lua"
	appendLua   = "internal/ledger/lua/append.lua"
	beginLua    = "internal/ledger/lua/begin.lua"
	finishLua   = "internal/ledger/lua/finish.lua"
	dispatchLua = "internal/ledger/lua/dispatch.lua"
	purgeLua    = "internal/ledger/lua/purge.lua"
	chainPkg    = "./internal/ledger"

	cancelChainLua = "internal/ledger/lua/cancel_chain.lua"
	cancelBatchLua = "internal/ledger/lua/cancel_batch.lua"
)

// ledgerMutations are of the order of a chain's calls and of who may write what.
var ledgerMutations = []mutation{
	{
		"fence", "a run begins under an older dispatch number",
		in(beginLua, "if not c or c[C.state] ~= STATE.dispatched or c[C.number] ~= number then", "if not c or c[C.state] ~= STATE.dispatched then"),
		chainPkg, "TestStaleDispatchDoesNothing",
	},
	{
		"fence", "a chain that runs is begun again",
		in(beginLua, "if not c or c[C.state] ~= STATE.dispatched or c[C.number] ~= number then", "if not c or c[C.number] ~= number then"),
		chainPkg, "TestStaleDispatchDoesNothing",
	},
	{
		"fence", "a new dispatch keeps the old number",
		in(baseLua, "local n = redis.call('INCR', P .. 'feed')", "local n = tonumber(c[C.number] or redis.call('INCR', P .. 'feed'))"),
		chainPkg, "TestStaleDispatchDoesNothing",
	},
	{
		"nonce of an attempt", "an outcome is taken from an attempt that another one has followed",
		in(finishLua, "c[C.nonce] ~= nonce or ", ""),
		chainPkg, "TestStaleNonceFreesItsOwnSlotOnly",
	},
	{
		"begin sent twice", "it is not answered as before",
		in(beginLua, "if again then", "if false then"),
		chainPkg, "TestRepeatedCommandsChangeNothing",
	},
	{
		"finish sent twice", "it is not answered as before",
		in(finishLua, "begun_already(next_nonce, now, s.lease) or { 'stale' }", "{ 'stale' }"),
		chainPkg, "TestRepeatedGoingOnChangesNothing",
	},
	{
		"finish sent twice", "it looks at the chains that wait for longest",
		in(ledgerLua, "later, later + SLICE - 1", "0, SLICE - 1"),
		chainPkg, "TestRepeatedStepAmongManyThatWait",
	},
	{
		"order of record and advance", "the chain goes on, its result is not recorded",
		in(finishLua, "  succeed(batch, field, code, msg, err, now)\n", ""),
		chainPkg, "TestOneCallAfterTheOther",
	},
	{
		"record of a call", "the first attempt of a call without a chain's name is written a place too early",
		in(ledgerLua, "    (rec[R.chain] and '' or ',\"\"') .. ',1,'", "    ',1,'"),
		chainPkg, "TestRecordSaysWhatBecameOfTheCall",
	},
	{
		"record of a call", "a success after a failure keeps what the failure said",
		in(ledgerLua, "  rec[R.code], rec[R.msg], rec[R.err], rec[R.reason] = code, msg, err, nil\n", ""),
		chainPkg, "TestRecordSaysWhatBecameOfTheCall",
	},
	{
		"order of record and advance", "the chain is put off, its failure is not recorded",
		in(finishLua, "rec[R.code], rec[R.msg], rec[R.err] = code, msg, err\n", ""),
		chainPkg, "TestFailuresCountAgainstTheBudget",
	},
	{
		"the next call starts after a success alone", "a chain whose head was given up goes on",
		in(ledgerLua, "  hold(c, batch, now)\n  return false\n", "  return advance(c, now)\n"),
		chainPkg, "TestPolicyHold",
	},
	{
		"quarantine of unknown outcomes", "the slot is freed in the ledger",
		in(finishLua, "if slot == 'release' then", "if slot ~= 'back' then"),
		chainPkg, "TestUnknownOutcomeQuarantinesTheChain",
	},
	{
		"wait of a chain after an unknown outcome", "a grant does not look at it",
		in(ledgerLua, "if quarantine > now then", "if false then"),
		chainPkg, "TestUnknownOutcomeQuarantinesTheChain",
	},
	{
		"wait of a chain after an unknown outcome", "it is not written down",
		in(finishLua, "redis.call('SET', P .. 'quiet:' .. id, c[C.lease_ends], 'PX', tonumber(c[C.lease_ends]) - now)", ""),
		chainPkg, "TestUnknownOutcomeQuarantinesTheChain",
	},
	{
		"wait of a chain after an unknown outcome", "the call comes back before its lease ends",
		in(finishLua, "  if slot == 'keep' and tonumber(c[C.lease_ends]) > till then till = tonumber(c[C.lease_ends]) end\n", ""),
		chainPkg, "TestUnknownOutcomeThatBecameKnown",
	},
	{
		"late success", "what came after the lease is thrown away",
		in(finishLua, "(c[C.state] ~= STATE.running and kind ~= 'done')", "c[C.state] ~= STATE.running"),
		chainPkg, "TestLateSuccessStillCounts",
	},
	{
		"attempts are counted before the request", "they are not counted at the grant",
		in(ledgerLua, "c[C.spent] = tonumber(c[C.spent] or 0) + 1", "c[C.spent] = tonumber(c[C.spent] or 0)"),
		chainPkg, "TestLostRunIsDispatchedAgainAndGivenUp",
	},
	{
		"one call for each id", "a known call is appended again",
		in(appendLua, "elseif raw and string.sub(raw, 3, 3) ~= 'p' then", "elseif false then"),
		chainPkg, "TestAppendIsIdempotent",
	},
	{
		"one call for each id", "a call that its group has twice is appended twice",
		in(appendLua, "if seen and seen[field] then", "if false then"),
		chainPkg, "TestAppendOfACallTwiceInOneGroup",
	},
	{
		"one call for each id", "the script is not told that a group has one twice",
		in("internal/ledger/group.go", "g.twice = g.twice || len(g.keys) == n", "_ = n"),
		chainPkg, "TestAppendOfACallTwiceInOneGroup",
	},
	{
		"a group's own calls", "it tells of what it had when it was asked first",
		in("internal/ledger/group.go", "if len(g.whole) != len(g.text) {", `if g.whole == "" {`),
		chainPkg, "TestGroupIsUsedAgain",
	},
	{
		"order of a bulk", "two groups of a bucket go out at once",
		in("internal/engine/batcher.go", "if g.Tag() == more.Tag() {", "if false {"),
		"./internal/engine", "TestBatcherBoundsPipelines",
	},
	{
		"order of a bulk", "a shard goes on after a failure",
		in("internal/engine/batcher.go", "if g.failed() == nil {", "if true {"),
		"./internal/engine", "TestBatcherKeepsTheOrder",
	},
	{
		"licences of a known token", "its chains go on waiting for the old quota",
		in(appendLua, "if kept[place[token]] then raised[#raised + 1] = token end", ""),
		chainPkg, "TestLicencesRaisedBringQuotaBack",
	},
	{
		"wake of the longest waiter", "the chain that frees a slot keeps it",
		in(finishLua, "if woken and (busy + 1 >= s.slots or redis.call('EXISTS', waiters) == 1) then", "if false then"),
		chainPkg, "TestSlotGoesToWhoWaitedLongest",
	},
	{
		"nobody overtakes who waits", "the chain goes on where others wait longer",
		in(finishLua, "(busy + 1 >= s.slots or redis.call('EXISTS', waiters) == 1)", "busy + 1 >= s.slots"),
		chainPkg, "TestNobodyOvertakesWhoWaits",
	},
	{
		"slot offer of a chain that was woken", "one that is put off at its begin keeps it",
		in(ledgerLua, "local other = own and pass_on(c, s.slots, now)", "local other"),
		chainPkg, "TestSlotOfferIsPassedOn",
	},
	{
		"slot offer of a chain that was woken", "one that is put off in place keeps it",
		in(finishLua, "woken = instead -- ", "woken = nil -- "),
		chainPkg, "TestSlotOfferIsPassedOn",
	},
	{
		"slot offer of a chain that was woken", "one that is cancelled keeps it",
		in(cancelChainLua, "local other = pass_on(c, tonumber(ARGV[5]), now)", "local other"),
		chainPkg, "TestSlotOfferIsPassedOn",
	},
	{
		"slot offer of a chain that was woken", "one whose batch is cancelled keeps it",
		in(cancelBatchLua, "local other = pass_on(c, tonumber(ARGV[3]), now)", "local other"),
		chainPkg, "TestSlotOfferIsPassedOn",
	},
	{
		"slot offer of a chain that was woken", "it is passed on where nobody of the token can run",
		in(ledgerLua, "reply[1] == 'deferred' and (reply[2] == 'unknown' or reply[2] == 'server' or reply[2] == BUSY)", "reply[1] == 'deferred'"),
		chainPkg, "TestSlotOfferIsKeptWhileTheTokenIsClosed",
	},
	{
		"slot offer of a chain that was woken", "who is put off stays among the waiters, and wakes come to it",
		in(ledgerLua, "if s == STATE.waiting and c[C.waiter_since] then", "if false then"),
		chainPkg, "TestWhoIsPutOffWaitsForNoSlot",
	},
	{
		"slot offer of a chain that was woken", "a late success that ends the chain keeps it",
		in(finishLua, "  if woken and woken.id == id then woken = wake(token, s.slots, now) end\n", ""),
		chainPkg, "TestLateSuccessOfWhoWaitsLongest",
	},
	{
		"slot offer of a chain that was woken", "who gets it at a begin is not handed to asynq",
		in(recordGo, "	r.probing(step, probe)\n	r.handOver(ctx, step, err)\n	return step, err\n}\n\n// recordEvery", "	r.probing(step, probe)\n	return step, err\n}\n\n// recordEvery"),
		"./internal/engine", "TestRunThatIsPutOffPassesItsSlotOfferOn",
	},
	{
		"policy cancel: the dropped set", "only the nearest calls are cancelled",
		in(ledgerLua, "  redis.call('SADD', P .. 'dropped:' .. batch, c.id)\n", ""),
		chainPkg, "TestPolicyCancelOfALargeBatch",
	},
	{
		"policy cancel: the dropped set", "the chain goes on with calls that it dropped",
		in(ledgerLua, "if batch ~= kept and is_dropped(batch, c.id) then", "if false then"),
		chainPkg, "TestPolicyCancelOfALargeBatch",
	},
	{
		"note of a cancelled batch", "rows that come later are let in",
		in(appendLua, "if about[1] then return { stamp, -1, 0 } end", ""),
		chainPkg, "TestCancelBatchWhereverItWaits",
	},
	{
		"note of a cancelled batch", "a call that ran meanwhile is tried again",
		in(finishLua, "elseif cancelled(batch) then", "elseif false then"),
		chainPkg, "TestCancelledBatchIsNotTriedAgain",
	},
	{
		"retention keeps held calls", "a held head is deleted",
		in(purgeLua, "if c and c[C.state] == STATE.held and c[C.head] == ref_of(batch, key, rec) then return end", ""),
		chainPkg, "TestPurgeKeepsWhatIsOpenOrHeld",
	},
	{
		"outcomes on a full Redis", "a script no longer writes before it needs memory",
		in(ledgerLua, "local function outcome_first() redis.call('UNLINK', P .. 'none') end", "local function outcome_first() end"),
		chainPkg, "TestFullRedis",
	},
}

// recoveryMutations are of what finds the work of a process that is gone.
var recoveryMutations = []mutation{
	{
		"a call whose worker was lost", "nobody takes it up when its lease has ended",
		in(dispatchLua, "  elseif c[C.state] == STATE.running and not lives(c) then\n", "  elseif c[C.state] == STATE.running and not lives(c) then\n    redis.call('ZREM', DUE, id)\n  elseif false then\n"),
		chainPkg, "TestLostRunIsDispatchedAgainAndGivenUp",
	},
	{
		"a call whose worker was lost", "it is tried without end",
		in(dispatchLua, "elseif tonumber(c[C.spent]) >= tonumber(ARGV[4]) then", "elseif false then"),
		chainPkg, "TestLostRunIsDispatchedAgainAndGivenUp",
	},
	{
		"a dispatch that nobody began", "it is not dispatched again",
		in(baseLua, "redis.call('ZADD', DUE, now + DISPATCH_GRACE * 2 ^ math.min(missed, 5), c.id)",
			"redis.call('ZADD', DUE, now + 2 ^ 40, c.id)"),
		chainPkg, "TestDispatchedButNotBegun",
	},
	{
		"dispatch number in the TaskID", "the task of a dispatch has the id of the one before",
		in("internal/ledger/ledger.go", `return d.Chain + ":" + d.Number`, `return d.Chain`),
		"./internal/engine", "TestEveryDispatchHasATaskOfItsOwn",
	},
	{
		"one task for each dispatch", "a task has no id of its own",
		in("internal/engine/asynq.go", "asynq.TaskID(f.TaskID()), ", ""),
		"./internal/engine", "TestEveryDispatchHasATaskOfItsOwn",
	},
	{
		"signals", "what a worker that stops still takes is lost",
		in("internal/ledger/dispatch.go", "for _, z := range (<-done).taken {", "for _, z := range (<-done).taken[:0] {"),
		chainPkg, "TestNextReadyEndsWithItsCaller",
	},
	{
		"signals", "a worker that stops waits for the command that Redis holds",
		in("internal/ledger/dispatch.go", "case <-ctx.Done():\n\t\tgo func()", "case <-make(chan struct{}):\n\t\tgo func()"),
		chainPkg, "TestNextReadyEndsWithItsCaller",
	},
	{
		"reconciler", "no worker reconciles",
		in("internal/engine/worker.go", "	wg.Go(func() { w.reconciler.run(soft) })\n", ""),
		"./internal/engine", "TestReconcilerFindsWhatNobodyTold",
	},
	{
		"reconciler", "it does not signal what is ready",
		in("internal/engine/reconciler.go", "err := s.ledger.Signal(ctx, s.clock.Now(), ready...)", "var err error"),
		"./internal/engine", "TestReconcilerFindsWhatNobodyTold",
	},
	{
		"reconciler", "it takes over no due times",
		in("internal/engine/reconciler.go", "		s.timers.note(b.Tag, b.NextDue)\n", ""),
		"./internal/engine", "TestReconcilerTakesOverTheTimersOfADeadProcess",
	},
	{
		"detached-context hook", "asynq's server gets a client without it",
		in("internal/engine/worker.go", ", Detach: true", ""),
		"./internal/engine", "TestTaskThatSucceededLeavesAsynq",
	},
	{
		"detached-context hook", "it passes the context of a command on",
		in("internal/redisconn/open.go", "return next(context.WithoutCancel(ctx), cmd)\n", "return next(ctx, cmd)\n"),
		"./internal/redisconn", "TestDetachHook",
	},
	{
		"detached-context hook", "it passes the context of a pipeline on",
		in("internal/redisconn/open.go", "return next(context.WithoutCancel(ctx), cmds)", "return next(ctx, cmds)"),
		"./internal/redisconn", "TestDetachHook",
	},
	{
		"restart hold", "a restart that a worker sees brings none",
		in("internal/engine/restart.go", "until := w.freeze()\n	what :=", "until := time.Now()\n	what :="),
		"./internal/engine", "TestNothingIsMadeAfterARestartOfRedis",
	},
	{
		"restart hold", "the ledger's run_id is not compared",
		in("internal/engine/restart.go", `case e.Run == "" && doubt == 0,`, `case true,`),
		"./internal/engine", "TestRestartWhileNoWorkerWasThere",
	},
	{
		"restart hold", "a worker that starts during it does not keep it",
		in("internal/engine/memory.go", "			s.notBefore.Until(e.Lost.Add(s.settings.Lease))\n", ""),
		"./internal/engine", "TestRestartWhileNoWorkerWasThere",
	},
	{
		"restart hold", "a grant that was under way is used",
		in(requestGo, "if r.overtaken(a) {", "if false {"),
		"./internal/engine", "TestOvertakenGrantIsGivenBack",
	},
	{
		"restart hold", "a replica that took over is taken for a restart that lost nothing",
		in("internal/engine/restart.go", "if w.durable.Load() && c.Master && c.Uptime < freshStart && ", "if w.durable.Load() && "),
		"./internal/engine", "TestDurableRedisGoesOn",
	},
}
