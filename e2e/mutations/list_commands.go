package main

// commandMutations are of what the commands take and say.
var commandMutations = []mutation{
	{
		"the time left", "the longest chain does not count",
		in("internal/control/progress.go", "max(left, chain.timeLeft(now)).Seconds()", "left.Seconds()"),
		"./internal/control", "TestTimeLeftOfTheLongestChain",
	},
	{
		"a sample of what waits", "it reads buckets in which all has ended",
		in("internal/control/progress.go", "o.sample(ctx, m, live, round, &p)", "o.sample(ctx, m, append(live[:0:0], tags...), round, &p)"),
		"./internal/control", "TestProgressSamples",
	},
	{
		"at and in", "a time that has passed puts calls off",
		in("internal/engine/batchopen.go", "b.job.atOnce || !b.NotBefore", "!b.NotBefore"),
		"./internal/engine", "TestPutOffBatchKeepsItsTime",
	},
	{
		"files as people have them", "UTF-16 is read as if it were UTF-8",
		in("internal/rows/rows.go", `enc, s = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), script{"UTF-16", true}`, "_ = unicode.LittleEndian\n		return br, s, nil"),
		"./internal/rows", "TestEncodings",
	},
	{
		"files as people have them", "a last line that was cut off is a row",
		in("internal/rows/csv.go", "if len(lacking) > 0 && !ended {", "if false {"),
		"./internal/rows", "TestFileThatMayBeCut",
	},
	{
		"files as people have them", "of a name that stands twice in a JSON object the last one counts",
		in("internal/rows/jsonl.go", "case seen[col]:", "case seen[col] && false:"),
		"./internal/rows", "TestJSONLinesBadRowsAlone",
	},
	{
		"files as people have them", "the rows behind one of another encoding are enqueued before it",
		in("internal/rows/check.go", "row = v.place(bad)", ""),
		"./internal/rows", "TestTokenAndChainOfABadRow",
	},
	{
		"the guard against formulas", "a report's cells are written as they are",
		in("internal/control/report.go", "fields[i] = GuardFormula(fields[i])", "_ = GuardFormula(fields[i])"),
		"./internal/control", "TestGuardedCellsRoundTrip",
	},
	{
		"looks for a result", "the first ones are as far apart as later ones",
		in("internal/ledger/look.go", "distance := soonest", "distance := lookEvery + 0*soonest"),
		"./internal/ledger", "TestLooksSoonThenRarely",
	},
	{
		"pauses of this process", "time-outs that they caused are held against the vendor's server",
		in(requestGo, "r.pauses.since(asked, time.Now())", "false"),
		"./internal/engine", "TestPauseOfThisProcessIsNoFaultOfTheServer",
	},
	{
		"looks for a result", "they grow far apart before the result comes",
		in("internal/ledger/look.go", "growth = 16", "growth = 2"),
		"./internal/ledger", "TestLooksSoonAfterwards",
	},
	{
		"looks for a result", "one that takes long is made all the time",
		in("internal/ledger/look.go", "max(distance, breather*time.Since(began))", "distance+0*breather*time.Since(began)"),
		"./internal/ledger", "TestLooksSoonAfterwards",
	},
	{
		"a producer that bears a failover", "its client is as impatient as others",
		in("internal/redisconn/patience.go", "rdb.AddHook(p)", "_ = p"),
		"./internal/redisconn", "TestPatientClientBearsARestart",
	},
	{
		"a producer that bears a failover", "a pipeline gives up at the replies of a node that is no master",
		in("internal/redisconn/patience.go", "if p.passes(c.Err()) {", "if false {"),
		"./internal/redisconn", "TestPatientClientBearsAReplica",
	},
	{
		"a producer that bears a failover", "a part of a transaction is sent again",
		in("internal/redisconn/patience.go", `cmds[0].Name() == "multi"`, "false"),
		"./internal/redisconn", "TestPatientClientBearsAReplica",
	},
	{
		"a start during a failover", "it ends at the first error",
		in("cmd/worker/root.go", "!redisconn.Passing(err, p.several)", "true"),
		"./cmd/worker", "TestStartWaitsForAFailover",
	},
	{
		"wrong settings", "sealing keys are taken as they come",
		in("internal/config/table.go", "checked(&s.Keys, parsed(vault.ParseKeys))", "checked(&s.Keys, func(v string) error { _, _ = vault.ParseKeys(v); return nil })"),
		"./cmd/worker", "TestUsageOfTheWorker",
	},
	{
		"watch", "Ctrl-C is a failure",
		in("cmd/enqueue/status.go", "if err != nil && ctx.Err() != nil {", "if false {"),
		"./cmd/enqueue", "TestWatchEndedByCtrlC",
	},
	{
		"timetables", "Sunday is not known as 7",
		in("internal/schedule/timetable.go", "parser.Parse(sundayAs7(expr))", "parser.Parse(expr)"),
		"./internal/schedule", "TestWords",
	},
	{
		"who looks at a batch learns that nobody works on it", "a status does not say that no worker runs",
		in("cmd/enqueue/status.go", "		if !st.Settled && st.Open > 0 {", "		if false {"),
		"./cmd/enqueue", "TestStories/operate",
	},
	{
		"advice on held chains", "each chain tells it again",
		in("cmd/enqueue/chains.go", "	if t.told[of] {", "	if false {"),
		"./cmd/enqueue", "TestStories/operate",
	},
	{
		"a strict run", "a batch that it did not make can be followed",
		in("cmd/enqueue/bulk.go", "	if r.o.strict { // there may", "	if false { // there may"),
		"./cmd/enqueue", "TestStories/identity",
	},
	{
		"switches over HTTP", "a bare name is not on",
		in("internal/web/api/decode.go", `	case v == "", v == "true":`, `	case v == "true":`),
		"./internal/web/api", "TestSwitches",
	},
	{
		"the demo's account", "rows that were left out are missed",
		in("cmd/worker/demo.go", "return left[c.Line] })", "return false })"),
		"./cmd/worker", "TestDemoFileWithBadRows",
	},
	{
		"a batch behind another one", "status names no next step for it",
		in("cmd/enqueue/output.go", `	} else if behind := behindOthers(s); behind != "" {`, `	} else if behind := ""; behind != "" {`),
		"./cmd/enqueue", "TestStories/behind",
	},
	{
		"a batch behind another one", "a retry of it does not say where it waits",
		in("cmd/enqueue/chains.go", "why = cmp.Or(behindOthers(st), why)", "why = cmp.Or(why, behindOthers(st))"),
		"./cmd/enqueue", "TestStories/behind",
	},
	{
		"unknown commands", "their flags are blamed",
		in("cmd/enqueue/root.go", "cmd.HasSubCommands() && f.NArg() > 0", "cmd.HasSubCommands() && f.NArg() < 0"),
		"./cmd/enqueue", "TestStories/usage",
	},
	{
		"a local run", "it says that it cancelled what the file has no more",
		in("cmd/enqueue/bulk_rows.go", "	case s.Missing > 0 && whole:", "	case false:"),
		"./cmd/enqueue", "TestCountsOnOneLine",
	},
	{
		"times for people", "show tells them in UTC",
		in("cmd/enqueue/call.go", "			value = a.local(at)", "			value = at.String()"),
		"./cmd/enqueue", "TestStories/scheduled",
	},
	{
		"times for people", "the next gentle try is the end of a cool-down",
		in("cmd/enqueue/status.go", `	if reason == "cooling" {`, "	if false {"),
		"./cmd/enqueue", "TestWaitingChainSaysWhenItIsTried",
	},
	{
		"rows that are withheld", "each is a bad row without a number",
		in("cmd/enqueue/bulk_rows.go", "	if held.Behind > 0 {", "	if held.Behind < 0 {"),
		"./cmd/enqueue", "TestStories/identity",
	},
	{
		"a rejects file given again", "it is to be corrected itself",
		in("cmd/enqueue/bulk_rows.go", "	case r.part: // what", "	case false: // what"),
		"./cmd/enqueue", "TestStories/identity",
	},
	{
		"why a chain is held", "the answer of the vendor is not told",
		in("internal/control/chains.go", `	if r.Code != "" {`, `	if false {`),
		"./internal/control", "TestChainsSayWhy",
	},
	{
		"parameters that are not known", "they are not named",
		in("internal/web/api/decode.go", "			if plainName.MatchString(name) { // all", "			if false { // all"),
		"./internal/web/api", "TestUnknownParameterIsNamed",
	},
}
