package main

const (
	outcomeGo = "internal/engine/outcome.go"
	runnerGo  = "internal/engine/runner.go"
	recordGo  = "internal/engine/record.go"
	requestGo = "internal/engine/attempt.go"
	hostsGo   = "internal/engine/hosts.go"
	clientGo  = "internal/wolkvox/client.go"
	connGo    = "internal/wolkvox/conn.go"

	membershipLua = "internal/membership/lua/membership.lua"
)

// workerMutations are of what a run does around its request.
var workerMutations = []mutation{
	{
		"places shared among buckets", "the first buckets get them all",
		in("internal/engine/dispatcher.go", "min(ledger.Buckets, f.free())", "min(perDispatch, f.free())"),
		"./internal/engine", "TestPlacesAreSharedAmongAllBuckets",
	},
	{
		"share of time", "a run keeps its place however many wait",
		in(runnerGo, "case time.Since(t.since) >= r.budget && r.hosts.waits(t.host):", "case false:"),
		"./internal/engine", "TestRunKeepsItsPlaceForAShareOfTime",
	},
	{
		"share of time", "a run that waits for a chain counts as a place for a task",
		in("internal/engine/dispatcher.go", "return f.places - f.active() }", "return f.places - f.active() + f.idle.waiting() }"),
		"./internal/engine", "TestCrowdedWhileRunsWait",
	},
	{
		"places come free one by one", "all at once",
		in(runnerGo, "return !soon && r.backlog() > 0", "_ = soon\n	return r.backlog() > 0"),
		"./internal/engine", "TestPlacesComeFreeOneByOne",
	},
	{
		"places come free one by one", "none of a run that goes from one short chain to the next",
		in(runnerGo, "case time.Since(t.began) >= r.budget && r.yields():", "case time.Since(t.since) >= r.budget && r.yields():"),
		"./internal/engine", "TestRunKeepsItsPlaceForAShareOfTime",
	},
	{
		"few tasks wait in asynq", "each bucket that is due gets one",
		in("internal/engine/dispatcher.go", "some := min(len(tags), free)", "some := len(tags)"),
		"./internal/engine", "TestNoMoreTasksThanCanBegin",
	},
	{
		"share of time", "a long chain keeps its run however many wait",
		in(runnerGo, "return ledger.Others", "return ledger.Any"),
		"./internal/engine", "TestRunKeepsItsPlaceForAShareOfTime",
	},
	{
		"share of time", "a run that leaves its chain to others goes on with it",
		in("internal/ledger/lua/finish.lua", "if on == '1' or on == '2' then", "if on ~= '0' then"),
		"./internal/ledger", "TestRunLeavesItsChainForOthers",
	},
	{
		"idle workers are told of tasks", "a producer tells nobody of its task",
		in("internal/engine/producer.go", "_ = p.ledger.Signal(ctx, time.UnixMilli(0), ledger.TaskReady) // before", "_ = time.UnixMilli // before"),
		"./internal/engine", "TestProducerTellsOfItsTask",
	},
	{
		"idle workers are told of tasks", "a word that comes while asynq does not ask is forgotten",
		in("internal/engine/asynq.go", "told: make(chan struct{}, servers)}", "told: make(chan struct{})}"),
		"./internal/engine", "TestAskWaitsUntilSomebodyTells",
	},
	{
		"budget of attempts", "a hand-off leaves the count of the call before",
		in("internal/ledger/lua/library.lua", "if c[C.spent] ~= c.was then", "if not c.was then"),
		"./internal/ledger", "TestNextCallHasItsOwnBudget",
	},
	{
		"runs go on in other buckets", "a chain is given to a run and published too",
		in("internal/engine/dispatcher.go", "			if f.idle.give(d) {\n				continue\n			}", "			f.idle.give(d)"),
		"./internal/engine", "TestIdleRunGetsTheNextChain",
	},
	{
		"joint scripts", "scripts that wait are not joined",
		in("internal/redisconn/pipeline.go", "if i, ok := at[hash]; ok && w.joint {", "if i, ok := at[hash]; ok && false {"),
		"./internal/redisconn", "TestJointScriptsAreJoined",
	},
	{
		"joint scripts", "one that fails among others is not sent again",
		in("internal/redisconn/pipeline.go", "			failed = append(failed, w)\n", ""),
		"./internal/redisconn", "TestJointScriptsAreJoined",
	},
	{
		"joint scripts", "one that fails keeps those behind it from being done",
		in("internal/ledger/lua/joint.lua", "local done, reply = pcall(each, unpack(ARGV, last - own + 1, last))", "local done, reply = true, each(unpack(ARGV, last - own + 1, last))"),
		"./internal/ledger", "TestJointBeginIsOfEachChain",
	},
	{
		"joint scripts", "the timers of the other buckets are the first one's",
		in("internal/ledger/lua/joint.lua", "    DUE = P .. 'due'\n", ""),
		"./internal/ledger", "TestJointFinishIsOfEachChain",
	},
	{
		"joint scripts", "all are done in the first bucket",
		in("internal/ledger/lua/joint.lua", "    P = KEYS[2 * i - 1]\n", ""),
		"./internal/ledger", "TestJointBeginIsOfEachChain",
	},
	{
		"scripts in pipelines", "each script is sent alone",
		in("internal/redisconn/pipeline.go", "if l.busy < pipelines {", "if true {"),
		"./internal/redisconn", "TestPipelined",
	},
	{
		"scripts in pipelines", "nobody is told of a script's error",
		in("internal/redisconn/pipeline.go", "		cmd.SetErr(w.cmd.Err())\n		return w.cmd.Err()", "		return nil"),
		"./internal/redisconn", "TestPipelined",
	},
	{
		"places at a server", "there is always one more",
		in(hostsGo, "	if at.taken >= h.most {\n		return false", "	if false {\n		return false"),
		"./internal/engine", "TestServerConcurrency",
	},
	{
		"places at a server", "one that comes free goes to nobody who waits",
		in(hostsGo, "if len(at.waiting) > 0 {\n		next", "if false {\n		next"),
		"./internal/engine", "TestHosts",
	},
	{
		"places at a server", "a worker that stops keeps the chains that wait for one",
		in(runnerGo, "range r.hosts.end() {", "range r.hosts.end()[:0] {"),
		"./internal/engine", "TestStoppingWorkerGivesWaitingChainsBack",
	},
	{
		"places at a server", "a chain that waits for one keeps the slot that it was offered",
		in("internal/ledger/lua/library.lua", " or reply[2] == BUSY)", ")"),
		"./internal/ledger", "TestChainThatWaitsForItsServerPassesTheSlotOn",
	},
	{
		"places at a server", "a grant that comes when there is none costs an attempt",
		in("internal/ledger/lua/finish.lua", "if kind == 'busy' and not cancelled(batch) then\n    redis.call('HINCRBY', c.key, C.spent, -1)",
			"if kind == 'busy' and not cancelled(batch) then"),
		"./internal/ledger", "TestRunGoesOnToAFullServer",
	},
	{
		"few outcomes on their way", "all runs send theirs at once",
		in(recordGo, "		defer r.place()()\n", ""),
		"./internal/engine", "TestFewOutcomesAreOnTheirWayAtOnce",
	},
	{
		"quarantine of unknown outcomes", "the slot of an unknown outcome is freed",
		in(outcomeGo, "	case redisconn.Is[*wolkvox.UnknownOutcomeError](err): // below, whatever its cause\n", "	case redisconn.Is[*wolkvox.UnknownOutcomeError](err):\n		return f.attempt(o, outcomeUnknown)\n"),
		"./internal/engine", "TestJudge",
	},
	{
		"quarantine of unknown outcomes", "the slot of an error that nobody knows is freed",
		in(outcomeGo, "o.Slot, o.Reason = ledger.Keep,", "o.Slot, o.Reason = ledger.Release,"),
		"./internal/engine", "TestJudge",
	},
	{
		"budget of attempts", "a call is never given up",
		in(outcomeGo, "if f.Spent >= f.MaxAttempts {", "if false {"),
		"./internal/engine", "TestJudge",
	},
	{
		"order of the hooks", "the next call's journal entry waits for nothing",
		in("internal/engine/attempt.go", "	case <-time.After(last.leaseEnds.Sub(now)):\n\tcase <-ctx.Done():", "	default:"),
		"./internal/engine", "TestHooksAreToldInTheOrderOfTheChain",
	},
	{
		"order of record and advance", "a run whose outcome Redis did not take leaves it",
		in(recordGo, "case err == nil || ctx.Err() != nil:", "case true:"),
		"./internal/engine", "TestOutcomeIsRecordedAsSoonAsRedisTakesIt",
	},
	{
		"grace after a lease", "a call counts as lost as soon as its lease has ended",
		in("internal/ledger/lua/dispatch.lua", "  if STEP == 0 then return false end", "  if true then return false end"),
		"./internal/ledger", "TestOutcomeIsTakenWithinTheGrace",
	},
	{
		"grace after a lease", "no look at a call is the last one",
		in("internal/ledger/lua/dispatch.lua", "if looks > 2 then return false end", ""),
		"./internal/ledger", "TestGraceEnds",
	},
	{
		"grace after a lease", "a look counts however late it is",
		in("internal/ledger/lua/dispatch.lua", "+ STEP and now < first + PATIENCE then looks = 1 end", "+ STEP and false then looks = 1 end"),
		"./internal/ledger", "TestGraceBeginsAnewAtALateLook",
	},
	{
		"grace after a lease", "late looks never count",
		in("internal/ledger/lua/dispatch.lua", " and now < first + PATIENCE then looks = 1", " then looks = 1"),
		"./internal/ledger", "TestLateLooksCountInTheEnd",
	},
	{
		"grace after a lease", "what looks noted stays with a chain whose call was lost",
		in("internal/ledger/lua/dispatch.lua", "    drop_fields(c, C.missed, C.waits_until)\n", ""),
		"./internal/ledger", "TestGraceEnds",
	},
	{
		"grace after a lease", "what looks noted stays with a chain whose call ended",
		in("internal/ledger/lua/finish.lua", "if c[C.state] == STATE.running and c[C.missed] then drop_fields(c, C.missed, C.waits_until) end", ""),
		"./internal/ledger", "TestOutcomeIsTakenWithinTheGrace/giveup",
	},
	{
		"grace after a lease", "the workers' ledger has none",
		in("internal/engine/options.go", "Grace: graceOf(settings.Lease),", ""),
		"./internal/engine", "TestOutcomeOutlivesARedisThatRefusesWrites/MISCONF",
	},
	{
		"order of record and advance", "what Redis calls an error is given up at once",
		in(recordGo, "case time.Since(since) >= broken:", "default:"),
		"./internal/engine", "TestPersist",
	},
	{
		"places of our own", "a run begins for every task that asynq hands out",
		in("internal/engine/worker.go", "	if !w.places.enter(w.stopped) {\n		return w.runner.putBack(ctx, f)\n	}\n	defer w.places.leave()\n", ""),
		"./internal/engine", "TestPlacesAreOurOwn",
	},
	{
		"shutdown in time", "what became of requests that were cut off is not recorded",
		in(recordGo, "	if r.last != nil {\n", "	if false {\n"),
		"./internal/engine", "TestCutOffRequestIsRecorded",
	},
	{
		"shutdown in time", "the worker waits for a Redis that hangs",
		in("internal/engine/drain.go", "w.o.ShutdownTimeout+endWait)", "time.Hour)"),
		"./internal/engine", "TestStopsInTimeThoughRedisHangs/idle",
	},
	{
		"shutdown in time", "the process waits for whatever hangs",
		in("cmd/worker/root.go", "time.After(after)", "time.After(after + 10*time.Second)"),
		"./cmd/worker", "TestProcessEndsInTime",
	},
	{
		"asynq's leases", "a task without one gets none",
		in("internal/engine/reconciler.go", "return len(ended), l.rdb.ZAddNX(ctx, prefix+\"lease\", ended...).Err()", "return len(ended), nil"),
		"./internal/engine", "TestTaskWithoutALeaseLeavesTheActiveOnes",
	},
	{
		"asynq's leases", "one look is enough",
		in("internal/engine/reconciler.go", "if _, ok := l.seen[id]; ok {", "if _, ok := l.seen[id]; ok || true {"),
		"./internal/engine", "TestOneLookMendsNoLease",
	},
	{
		"asynq's leases", "a task that this process runs is taken back",
		in("internal/engine/reconciler.go", "here || leased[id] {", "here && false || leased[id] {"),
		"./internal/engine", "TestTaskWithoutALeaseLeavesTheActiveOnes",
	},
	{
		"readiness", "a Redis that can be read is taken for one that takes writes",
		in("internal/engine/ready.go", `rdb.SetArgs(context.Background(), key, "", redis.SetArgs{Mode: "XX"}).Err()`, "rdb.Get(context.Background(), key).Err()"),
		"./internal/engine", "TestReady/MISCONF",
	},
	{
		"readiness", "a worker that may make no call says that it is ready",
		in("internal/engine/ready.go", "	return w.barred()\n", "	return nil\n"),
		"./internal/engine", "TestNotReadyWhileNoCallCanRun",
	},
	{
		"metrics at once", "a scrape waits for Redis",
		in("cmd/worker/http.go", "scrapeWait = 500 * time.Millisecond", "scrapeWait = 5 * time.Second"),
		"./cmd/worker", "TestScrapeDoesNotWaitForRedis",
	},
	{
		"WriteBy guard", "a request has no moment by which it must be written",
		in(requestGo, "		WriteBy: asked.Add(r.o.SlotMargin),\n", ""),
		"./internal/engine", "TestRequestIsWrittenWithinTheMargin",
	},
	{
		"lease covers the vendor's time", "it covers our own patience",
		in("internal/engine/options.go", "max(o.CallTimeout, o.VendorTimeout) + o.SlotMargin", "o.CallTimeout + o.SlotMargin"),
		"./internal/engine", "TestLeaseCoversTheVendorsTime",
	},
	{
		"put back at a stop", "a task that comes while the worker stops is begun",
		in(runnerGo, "		if r.stopping.Load() {\n			r.giveOn(ctx, t.host)\n			return r.putBack(ctx, f)\n		}\n", ""),
		"./internal/engine", "TestStoppingWorkerPutsBackWhatItHasNotBegun",
	},
	{
		"put back at a stop", "a bucket that was taken meanwhile is left to the backlog",
		in("internal/engine/dispatcher.go", "		_ = f.ledger.Signal(context.WithoutCancel(ctx), f.clock.Now(), tags...) // else the reconciler finds them\n", ""),
		"./internal/engine", "TestStoppingWorkerGivesBackTheBucketsItTook",
	},
	{
		"shared settings check", "a run begins while it is not known to hold",
		in(runnerGo, "for (!r.current() || ", "for (false || "),
		"./internal/engine", "TestRunWaitsForTheMembership",
	},
	{
		"shared settings check", "a process that differs may join",
		in(membershipLua, "if mine[name] ~= nil and mine[name] ~= value then", "if false then"),
		"./internal/membership", "TestOneThatDiffers",
	},
}

// vendorMutations are of the one request of an attempt.
var vendorMutations = []mutation{
	{
		"WriteBy guard", "a connection writes after it",
		in(connGo, "	case past(by):\n		return false, errLate\n", ""),
		"./internal/wolkvox", "TestLateRequestsAreNotWritten",
	},
	{
		"WriteBy guard", "a dial may take longer",
		in(clientGo, "earlier(by, until)", "until"),
		"./internal/wolkvox", "TestDialBounds",
	},
	{
		"one-shot write guard", "a second connection may write the request again",
		in(clientGo, "if written || !reused ||", "if !reused ||"),
		"./internal/wolkvox", "TestPartIsNotSentAgain",
	},
	{
		"one-shot write guard", "an attempt that is over may still write",
		in(connGo, "	case ctx.Err() != nil:\n		return false, ctx.Err()\n	case past(by):", "	case past(by):"),
		"./internal/wolkvox", "TestNothingWasWritten",
	},
	{
		"a dead idle connection is not written to", "it is not asked whether the peer is there",
		in(connGo, "case reused && c.raw.stale():", "case false:"),
		"./internal/wolkvox", "TestIdleConnectionIsAskedWhetherItLives",
	},
	{
		"an idle connection that died costs no attempt", "no other one is tried",
		in(clientGo, "if written || !reused ||", "if true ||"),
		"./internal/wolkvox", "TestDeadIdleNoticed",
	},
	{
		"connections are used again", "one that the end of a context may still end",
		in(clientGo, "bound && err == nil", "(bound || true) && err == nil"),
		"./internal/wolkvox", "TestConnectionsThatAreNotUsedAgain",
	},
	{
		"connections are used again", "one that brought more than was asked for",
		in(clientGo, " && from.in.Buffered() == 0 {", " {"),
		"./internal/wolkvox", "TestConnectionsThatAreNotUsedAgain",
	},
}

// otherMutations are of secrets.
var otherMutations = []mutation{
	{
		"reasons of results", "the code of what went wrong is not stored",
		in("internal/engine/outcome.go", "o.Slot, o.Reason = ledger.Keep, ledger.ReasonUnknown", "o.Slot = ledger.Keep"),
		"./internal/engine", "TestJudge",
	},
	{
		"reasons of results", "a restart of a local run forgets them",
		in("internal/ledger/lua/restore.lua", "  rec[R.reason] = a(17) ~= '' and a(17) or nil\n", ""),
		"./internal/ledger", "TestRestoreEnded",
	},
	{
		"rejects files", "fields that a rejected row lacks are not filled",
		in("internal/rows/row.go", "fields = append(fields, make([]string, len(s.columns)-len(fields))...)", "fields = append(fields, make([]string, 0)...)"),
		"./internal/rows", "TestRejectsCanBeReadAgain",
	},
	{
		"rejects files", "one is not known by its column problem",
		in("internal/rows/check.go", `row.FromRejects = v[colProblem] != "" || p.shape().rejects()`, `row.FromRejects = v[colProblem] == "" && p.shape().rejects()`),
		"./internal/rows", "TestRejectsFileIsKnown",
	},
	{
		"sealing purpose", "a sealed token opens under another one's name",
		in("internal/vault/seal.go", "append(slices.Clone(header), purpose...)", "slices.Clone(header)"),
		"./internal/vault", "TestOpenRefusesEveryChange",
	},
	{
		"no token in an error", "the vendor's text is passed on as it is",
		in("internal/wolkvox/scrub.go", "s = hideToken(strings.TrimSpace(s), token)", "s = strings.TrimSpace(s)"),
		"./internal/wolkvox", "TestTextsAreSafe",
	},
	{
		"no token in an error", "one that the vendor escapes is shown",
		in("internal/wolkvox/scrub.go", "hidden != plain {", "hidden != plain && false {"),
		"./internal/wolkvox", "TestEscapedTokensAreHidden",
	},
	{
		"a server that takes no connection is down", "a connection that hangs counts as our own lateness",
		in(clientGo, "Late: errors.Is(err, errLate)", "Late: past(r.WriteBy)"),
		"./internal/engine", "TestServerThatTakesNoConnectionIsDown",
	},
	{
		"only the vendor's push-back ends a call", "our own lateness does",
		in(outcomeGo, "isUnsent && unsent.Late && !f.Stopping", "isUnsent && unsent.Late && f.Stopping"),
		"./internal/engine", "TestJudge",
	},
	{
		"a deferral needs no replica", "begin asks again, and is told nothing",
		in(recordGo, "case redisconn.Unreplicated(err) && step.Status != ledger.Running:", "case false:"),
		"./internal/engine", "TestDeferralCountsWithoutReplicas",
	},
	{
		"a chain that waits for a place is dispatched anew", "it stays with a worker that died",
		in("internal/ledger/lua/library.lua", "local WAIT_THERE = 15000", "local WAIT_THERE = 6000000"),
		"./internal/ledger", "TestChainOfAWorkerThatDiedWaiting",
	},
}
