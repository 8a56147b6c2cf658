package main

const (
	filejobGo = "internal/localrun/job.go"
	againGo   = "internal/localrun/again.go"
	journalGo = "internal/localrun/wal/file.go"
)

// filejobMutations are of a job with no Redis.
var filejobMutations = []mutation{
	{
		"local runs are followed", "every chain is read at each look",
		in("internal/localrun/world.go", "stillFor = 250 * time.Millisecond", "stillFor = time.Duration(0)"),
		"./internal/localrun", "TestFollowAsksWhyIfNothingHappens",
	},
	{
		"full disk", "no room is reserved for the outcome of a grant",
		[]edit{
			{filejobGo, "j.journal.AppendReserving(r.encode(), endRoom)", "j.journal.Append(r.encode())"},
			{filejobGo, "j.journal.AppendReserved(text, endRoom)", "j.journal.Append(text)"},
		},
		"./internal/localrun", "TestFullDisk",
	},
	{
		"full disk", "room is not kept for what is owed",
		in(journalGo, "int64(len(line)) + j.owed + more;", "int64(len(line)) + more;"),
		"./internal/localrun/wal", "TestReservedRoomIsThere",
	},
	{
		"full disk", "a result is told before its outcome is on the disk",
		in("internal/localrun/work.go", "err = r.job.journal.Await(n.mark)", "err = nil"),
		"./internal/localrun", "TestFailedSync",
	},
	{
		"full disk", "after a sync that failed the journal goes on as if nothing was",
		in(journalGo, "j.failed = j.wrap(\"sync\", err)", "j.synced = upTo"),
		"./internal/localrun/wal", "TestFailedSyncIsFinal",
	},
	{
		"torn journals", "what was never synced counts as damage",
		in(journalGo, "case ok && synced > int64(good):", "case ok && synced >= 0:"),
		"./internal/localrun/wal", "TestHoleThatWasNeverSynced",
	},
	{
		"what was told as cancelled stays so", "a policy's cancellations are not written down",
		in("internal/localrun/work.go", "case ledger.StateCancelled:", "case ledger.StateRunning:"),
		"./internal/localrun", "TestCancelledStaysCancelled",
	},
	{
		"what was told as cancelled stays so", "--skip-failed forgets what the policy did",
		[]edit{
			{filejobGo, "j.head.Policy == string(ledger.PolicyHold)", "string(ledger.PolicyHold) != \"\""},
			{"internal/localrun/memory.go", "case c.State == ledger.RestoreGivenUp && m.holds():", "case c.State == ledger.RestoreGivenUp:"},
			{"internal/localrun/work.go", "case ledger.StateCancelled:", "case ledger.StateRunning:"},
		},
		"./internal/localrun", "TestCancelledStaysCancelled",
	},
	{
		"corrected files", "a held call is put back before calls that were made",
		in(againGo, "	slices.SortStableFunc(calls, func(x, y *remembered) int { return cmp.Compare(rank(x), rank(y)) })\n", "	_, _ = cmp.Compare[int], rank\n	slices.Reverse(calls[:0])\n"),
		"./internal/localrun", "TestMadeCallsBehindAHeldOne",
	},
	{
		"corrected files", "a file may change between its two readings",
		in(againGo, "(a.edited || sum.Missing > 0)", "false"),
		"./internal/localrun", "TestFileThatChangesWhileItIsRead",
	},
	{
		"corrected files", "calls whose rows are gone fall out of the results",
		in("internal/localrun/work.go", "range j.gone {", "range j.gone[:0] {"),
		"./internal/localrun", "TestGoneRowsStayInTheResults",
	},
	{
		"corrected files", "calls that were made are withheld behind a rejected row",
		in(againGo, "	n.Withhold = false\n", ""),
		"./internal/localrun", "TestCorrectedFileGoesOn",
	},
	{
		"corrected files", "what was given up for good is made again behind another head",
		in("internal/ledger/lua/restore.lua", "local passed = state == 'f' and", "local passed = false and"),
		"./internal/ledger", "TestRestoreGivenUpBehindTheHead",
	},
	{
		"older jobs", "an older version's job takes a changed file",
		in(filejobGo, "		if !same {\n", "		if !same && false {\n"),
		"./internal/localrun", "TestOlderJobGoesOn",
	},
	{
		"journal before the request", "a grant is written and not synced",
		in(filejobGo, "		j.granted.Store(a.Nonce, nil)\n		err = j.journal.Sync(mark)\n", "		j.granted.Store(a.Nonce, nil)\n		_ = mark\n"),
		"./internal/localrun", "TestGrantIsOnTheDiskBeforeItsRequest",
	},
	{
		"journal before the request", "a request is sent without its record",
		in(filejobGo, "	return j.stopOn(err)\n}\n\n// afterOutcome", "	_ = err\n	return nil\n}\n\n// afterOutcome"),
		"./internal/localrun", "TestNothingIsSentWithoutItsRecord",
	},
	{
		"a crash forgets no slot and no count", "they are not restored",
		in("internal/localrun/world.go", "limiter.Restore(ctx, used)", "limiter.Restore(ctx, nil)"),
		"./internal/localrun", "TestCrashIsRemembered",
	},
	{
		"a crash forgets no result", "it is not restored",
		in("internal/localrun/world.go", "Restore(ctx, j.batchID, restored)", "Restore(ctx, j.batchID, restored[:0])"),
		"./internal/localrun", "TestCrashIsRemembered",
	},
	{
		"torn journals", "a record is not checked",
		in(journalGo, "if len(line) <= sum || string(line[:sum]) != checksum(line[sum:]) {", "if len(line) <= sum {"),
		"./internal/localrun/wal", "TestDamage",
	},
}
