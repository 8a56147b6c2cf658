package main

const (
	outcomeGo = "tasks/outcome.go"
	runnerGo  = "tasks/runner.go"
	attemptGo = "internal/wolkvox/attempt.go"
	connGo    = "internal/wolkvox/conn.go"

	filejobGo = "internal/filejob/job.go"
	againGo   = "internal/filejob/again.go"
	journalGo = "internal/journal/file.go"

	agreementLua = "internal/agreement/lua/agreement.lua"
)

// workerMutations are of what a run does around its request.
var workerMutations = []mutation{
	{
		"few outcomes on their way", "all runs send theirs at once",
		in(runnerGo, "		defer r.place()()\n", ""),
		"./tasks", "TestFewOutcomesAreOnTheirWayAtOnce",
	},
	{
		"quarantine of unknown outcomes", "the slot of an unknown outcome is freed",
		in(outcomeGo, "case errors.As(err, &unknown):\n		return f.attempt(chain.Outcome{Slot: chain.Keep,",
			"case errors.As(err, &unknown):\n		return f.attempt(chain.Outcome{Slot: chain.Release,"),
		"./tasks", "TestJudge",
	},
	{
		"quarantine of unknown outcomes", "the slot of an error that nobody knows is freed",
		in(outcomeGo, "reached the vendor.\n	return f.attempt(chain.Outcome{Slot: chain.Keep,",
			"reached the vendor.\n	return f.attempt(chain.Outcome{Slot: chain.Release,"),
		"./tasks", "TestJudge",
	},
	{
		"budget of attempts", "a call is never given up",
		in(outcomeGo, "if f.Spent >= f.MaxAttempts {", "if false {"),
		"./tasks", "TestJudge",
	},
	{
		"order of record and advance", "a run whose outcome Redis did not take leaves it",
		in(runnerGo, "case err == nil || ctx.Err() != nil:", "case true:"),
		"./tasks", "TestOutcomeIsRecordedAsSoonAsRedisTakesIt",
	},
	{
		"grace after a lease", "whoever finds a lease ended takes its call for lost",
		in("internal/chain/lua/pump.lua", "elseif c.s == 'x' and tonumber(ARGV[4]) > 0 and", "elseif false and"),
		"./internal/chain", "TestOutcomeIsTakenWithinTheGrace",
	},
	{
		"grace after a lease", "no look at a call is the second one",
		in("internal/chain/lua/pump.lua", "tonumber(redis.call('ZSCORE', DUE, id)) <= tonumber(c.e) then", "true then"),
		"./internal/chain", "TestGraceEnds",
	},
	{
		"grace after a lease", "the workers' ledger has none",
		in("tasks/options.go", "Grace: graceOf(settings.Lease),", ""),
		"./tasks", "TestOutcomeOutlivesARedisThatRefusesWrites/MISCONF",
	},
	{
		"order of record and advance", "what Redis calls an error is given up at once",
		in(runnerGo, "case time.Since(since) >= broken:", "default:"),
		"./tasks", "TestPersist",
	},
	{
		"places of our own", "a run begins for every task that asynq hands out",
		in("tasks/worker.go", "	if !w.places.enter(w.stopped) {\n		return w.runner.putBack(ctx, f)\n	}\n	defer w.places.leave()\n", ""),
		"./tasks", "TestPlacesAreOurOwn",
	},
	{
		"shutdown in time", "what became of requests that were cut off is not recorded",
		in(runnerGo, "	if r.last == nil {\n", "	if true {\n"),
		"./tasks", "TestCutOffRequestIsRecorded",
	},
	{
		"shutdown in time", "the worker waits for a Redis that hangs",
		in("tasks/drain.go", "w.o.ShutdownTimeout+endWait)", "time.Hour)"),
		"./tasks", "TestStopsInTimeThoughRedisHangs/idle",
	},
	{
		"shutdown in time", "the process waits for whatever hangs",
		in("cmd/worker/root.go", "time.NewTimer(after)", "time.NewTimer(after + 10*time.Second)"),
		"./cmd/worker", "TestProcessEndsInTime",
	},
	{
		"asynq's leases", "a task without one gets none",
		in("tasks/leases.go", "return len(ended), l.rdb.ZAddNX(ctx, prefix+\"lease\", ended...).Err()", "return len(ended), nil"),
		"./tasks", "TestTaskWithoutALeaseLeavesTheActiveOnes",
	},
	{
		"asynq's leases", "one look is enough",
		in("tasks/leases.go", "if _, ok := l.seen[id]; ok {", "if _, ok := l.seen[id]; ok || true {"),
		"./tasks", "TestOneLookMendsNoLease",
	},
	{
		"asynq's leases", "a task that this process runs is taken back",
		in("tasks/leases.go", "l.here.Load(id); ok {", "l.here.Load(id); false && ok {"),
		"./tasks", "TestTaskWithoutALeaseLeavesTheActiveOnes",
	},
	{
		"readiness", "a Redis that can be read is taken for one that takes writes",
		in("tasks/ready.go", `rdb.SetArgs(context.Background(), key, "", redis.SetArgs{Mode: "XX"}).Err()`, "rdb.Get(context.Background(), key).Err()"),
		"./tasks", "TestReady/MISCONF",
	},
	{
		"readiness", "a worker that may make no call says that it is ready",
		in("tasks/ready.go", "	return w.barred()\n", "	return nil\n"),
		"./tasks", "TestNotReadyWhileNoCallCanRun",
	},
	{
		"metrics at once", "a scrape waits for Redis",
		in("cmd/worker/queuemetrics.go", "scrapeWait = 500 * time.Millisecond", "scrapeWait = 5 * time.Second"),
		"./cmd/worker", "TestScrapeDoesNotWaitForRedis",
	},
	{
		"WriteBy guard", "a request has no moment by which it must be written",
		in(runnerGo, "		WriteBy: asked.Add(r.o.SlotMargin),\n", ""),
		"./tasks", "TestRequestIsWrittenWithinTheMargin",
	},
	{
		"lease covers the vendor's time", "it covers our own patience",
		in("tasks/worker.go", "max(o.CallTimeout, o.VendorTimeout) + o.SlotMargin", "o.CallTimeout + o.SlotMargin"),
		"./tasks", "TestLeaseCoversTheVendorsTime",
	},
	{
		"put back at a stop", "a task that comes while the worker stops is begun",
		in(runnerGo, "	if r.stopping.Load() {\n		return r.putBack(ctx, f)\n	}\n", ""),
		"./tasks", "TestStoppingWorkerPutsBackWhatItHasNotBegun",
	},
	{
		"put back at a stop", "a bucket that was taken meanwhile is left to the survey",
		in("tasks/feeder.go", "		_ = f.ledger.Announce(context.WithoutCancel(ctx), f.clock.Now(), tags...) // else the survey finds them\n", ""),
		"./tasks", "TestStoppingWorkerGivesBackTheBucketsItTook",
	},
	{
		"agreement check", "a run begins while it is not known to hold",
		in(runnerGo, "for !r.current() && ", "for false && "),
		"./tasks", "TestRunWaitsForTheAgreement",
	},
	{
		"agreement check", "a process that differs may join",
		in(agreementLua, "if mine[name] ~= nil and mine[name] ~= value then", "if false then"),
		"./internal/agreement", "TestOneThatDiffers",
	},
}

// vendorMutations are of the one request of an attempt.
var vendorMutations = []mutation{
	{
		"WriteBy guard", "a connection writes after it",
		in(attemptGo, "	case past(a.writeBy):\n		a.closed = true\n		return errLate\n", ""),
		"./internal/wolkvox", "TestGuardRefusesLate",
	},
	{
		"WriteBy guard", "a dial may take longer",
		in(connGo, "if !a.writeBy.IsZero() && a.writeBy.Before(until) {", "if false {"),
		"./internal/wolkvox", "TestDialBounds",
	},
	{
		"one-shot write guard", "a second connection may write the request again",
		in(attemptGo, "	case a.owner != nil && a.owner != c:\n		return errTwice\n", ""),
		"./internal/wolkvox", "TestGuardLetsOneConnectionWrite",
	},
	{
		"one-shot write guard", "an attempt that is over may still write",
		in(attemptGo, "	case a.closed:\n		return errOver\n	case a.owner == c:", "	case a.owner == c:"),
		"./internal/wolkvox", "TestGuardLetsOneConnectionWrite",
	},
	{
		"one-shot write guard", "net/http may dial again for a request that was written",
		in(attemptGo, "	case a.owner != nil:\n		return errTwice\n	case past(a.writeBy):\n		return errLate\n",
			"	case past(a.writeBy):\n		return errLate\n"),
		"./internal/wolkvox", "TestDialBounds",
	},
	{
		"a dead idle connection is not written to", "it is not asked whether the peer is there",
		in(connGo, "if first && now.check && c.raw.stale() {", "if false {"),
		"./internal/wolkvox", "TestGuardAsksWhetherAnIdleConnectionLives",
	},
	{
		"an idle connection that died costs no attempt", "no other one is tried",
		in("internal/wolkvox/client.go", " || !a.diedIdle() {", " || true {"),
		"./internal/wolkvox", "TestDeadIdleNoticed",
	},
}

// filejobMutations are of a job with no Redis.
var filejobMutations = []mutation{
	{
		"full disk", "no room is reserved for the outcome of a grant",
		[]edit{
			{filejobGo, "j.journal.AppendReserving(text, endRoom)", "j.journal.Append(text)"},
			{filejobGo, "j.journal.AppendReserved(text, endRoom)", "j.journal.Append(text)"},
		},
		"./internal/filejob", "TestFullDisk",
	},
	{
		"full disk", "room is not kept for what is owed",
		in(journalGo, "int64(len(line)) + j.owed + more;", "int64(len(line)) + more;"),
		"./internal/journal", "TestReservedRoomIsThere",
	},
	{
		"full disk", "a result is told before its outcome is on the disk",
		in("internal/filejob/results.go", "err = r.job.journal.Await(n.mark)", "err = nil"),
		"./internal/filejob", "TestFailedSync",
	},
	{
		"full disk", "after a sync that failed the journal goes on as if nothing was",
		in(journalGo, "j.failed = j.wrap(\"sync\", err)", "j.synced = upTo"),
		"./internal/journal", "TestFailedSyncIsFinal",
	},
	{
		"torn journals", "what was never synced counts as damage",
		in(journalGo, "case ok && synced > int64(good):", "case ok && synced >= 0:"),
		"./internal/journal", "TestHoleThatWasNeverSynced",
	},
	{
		"what was told as cancelled stays so", "a policy's cancellations are not written down",
		in("internal/filejob/work.go", "case chain.StateCancelled:", "case chain.StateRunning:"),
		"./internal/filejob", "TestCancelledStaysCancelled",
	},
	{
		"what was told as cancelled stays so", "--skip-failed forgets what the policy did",
		[]edit{
			{filejobGo, "j.head.Policy == string(batch.Hold)", "string(batch.Hold) != \"\""},
			{"internal/filejob/memory.go", "case c.State == chain.RestoreGivenUp && m.holds():", "case c.State == chain.RestoreGivenUp:"},
			{"internal/filejob/work.go", "case chain.StateCancelled:", "case chain.StateRunning:"},
		},
		"./internal/filejob", "TestCancelledStaysCancelled",
	},
	{
		"corrected files", "a held call is put back before calls that were made",
		in(againGo, "	slices.SortStableFunc(calls, func(x, y *remembered) int { return cmp.Compare(rank(x), rank(y)) })\n", "	_, _ = cmp.Compare[int], rank\n	slices.Reverse(calls[:0])\n"),
		"./internal/filejob", "TestCorrectedFileGoesOn",
	},
	{
		"corrected files", "a file may change between its two readings",
		in(againGo, "(a.edited || sum.Missing > 0)", "false"),
		"./internal/filejob", "TestFileThatChangesWhileItIsRead",
	},
	{
		"corrected files", "calls whose rows are gone fall out of the results",
		in("internal/filejob/results.go", "range j.gone {", "range j.gone[:0] {"),
		"./internal/filejob", "TestGoneRowsStayInTheResults",
	},
	{
		"corrected files", "calls that were made are withheld behind a rejected row",
		in(againGo, "	n.Withhold = false\n", ""),
		"./internal/filejob", "TestCorrectedFileGoesOn",
	},
	{
		"corrected files", "what was given up for good is made again behind another head",
		in("internal/chain/lua/restore.lua", "local passed = state == 'f' and", "local passed = false and"),
		"./internal/chain", "TestRestoreGivenUpBehindTheHead",
	},
	{
		"older jobs", "an older version's job takes a changed file",
		in(filejobGo, "		if !same {\n", "		if !same && false {\n"),
		"./internal/filejob", "TestOlderJobGoesOn",
	},
	{
		"journal before the request", "a grant is written and not synced",
		in(filejobGo, "		j.granted.Store(g.Nonce, nil)\n		err = j.journal.Sync(mark)\n", "		j.granted.Store(g.Nonce, nil)\n		_ = mark\n"),
		"./internal/filejob", "TestGrantIsOnTheDiskBeforeItsRequest",
	},
	{
		"journal before the request", "a request is sent without its record",
		in(filejobGo, "	if err != nil {\n		j.stop(err)\n	}\n	return err\n}\n\n// afterOutcome", "	_ = err\n	return nil\n}\n\n// afterOutcome"),
		"./internal/filejob", "TestNothingIsSentWithoutItsRecord",
	},
	{
		"a crash forgets no slot and no count", "they are not restored",
		in("internal/filejob/world.go", "w.limiter.Restore(ctx, used)", "w.limiter.Restore(ctx, nil)"),
		"./internal/filejob", "TestCrashIsRemembered",
	},
	{
		"a crash forgets no result", "it is not restored",
		in("internal/filejob/world.go", "w.ledger.Restore(ctx, batchID, restored)", "w.ledger.Restore(ctx, batchID, restored[:0])"),
		"./internal/filejob", "TestCrashIsRemembered",
	},
	{
		"torn journals", "a record is not checked",
		in(journalGo, "if len(line) <= sum || string(line[:sum]) != checksum(line[sum:]) {", "if len(line) <= sum {"),
		"./internal/journal", "TestDamage",
	},
}

// otherMutations are of secrets.
var otherMutations = []mutation{
	{
		"reasons of results", "the code of what went wrong is not stored",
		in("tasks/outcome.go", "	j.Reason = reasonOf(err)\n", ""),
		"./tasks", "TestJudge",
	},
	{
		"reasons of results", "a restart of a local run forgets them",
		in("internal/chain/lua/restore.lua", "  rec[R.reason] = a(17) ~= '' and a(17) or nil\n", ""),
		"./internal/chain", "TestRestoreEnded",
	},
	{
		"rejects files", "fields that a rejected row lacks are not filled",
		in("internal/intake/shape.go", "fields = append(fields, make([]string, len(s.columns)-len(fields))...)", "fields = append(fields, make([]string, 0)...)"),
		"./internal/intake", "TestRejectsCanBeReadAgain",
	},
	{
		"rejects files", "one is not known by its column problem",
		in("internal/intake/check.go", `row.FromRejects = v[colProblem] != "" || p.shape().rejects()`, `row.FromRejects = v[colProblem] == "" && p.shape().rejects()`),
		"./internal/intake", "TestRejectsFileIsKnown",
	},
	{
		"sealing purpose", "a sealed token opens under another one's name",
		[]edit{
			{"internal/vault/seal.go", "aad := buf[total:]", "aad := buf[total : total+h]"},
			{"internal/vault/seal.go", "aad = append(append(aad, sealed[:h]...), purpose...)", "aad = append(aad, sealed[:h]...)"},
		},
		"./internal/vault", "TestOpenRefusesEveryChange",
	},
	{
		"no token in an error", "the vendor's text is passed on as it is",
		in("internal/wolkvox/scrub.go", "s = hideToken(strings.TrimSpace(s), token)", "s = strings.TrimSpace(s)"),
		"./internal/wolkvox", "TestTextsAreSafe",
	},
}
