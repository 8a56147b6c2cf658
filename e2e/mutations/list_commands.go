package main

// commandMutations are of what the commands take and say.
var commandMutations = []mutation{
	{
		"files as people have them", "UTF-16 is read as if it were UTF-8",
		in("internal/rows/encoding.go", `enc, s = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), script{"UTF-16", true}`, "return br, s, nil"),
		"./internal/rows", "TestEncodings",
	},
	{
		"files as people have them", "a last line that was cut off is a row",
		in("internal/rows/csv.go", "if len(lacking) > 0 && !ended {", "if false {"),
		"./internal/rows", "TestFileThatMayBeCut",
	},
	{
		"files as people have them", "of a name that stands twice in a JSON object the last one counts",
		in("internal/rows/jsonl.go", "if seen[col] {", "if false {"),
		"./internal/rows", "TestJSONLinesBadRowsAlone",
	},
	{
		"the guard against formulas", "a report's cells are written as they are",
		in("internal/control/csv.go", "fields[i] = GuardFormula(fields[i])", "_ = Guard(fields[i])"),
		"./internal/control", "TestGuardedCellsRoundTrip",
	},
	{
		"looks for a result", "the first ones are as far apart as later ones",
		in("internal/control/watch.go", "every, distance = FirstLook, soonest", "every, distance = FirstLook, FirstLook+0*soonest"),
		"./internal/control", "TestLooksSoonThenRarely",
	},
	{
		"pauses of this process", "time-outs that they caused are held against the vendor's server",
		in("internal/engine/runner.go", "r.pauses.Since(asked, time.Now())", "false"),
		"./internal/engine", "TestPauseOfThisProcessIsNoFaultOfTheServer",
	},
	{
		"a producer that bears a failover", "its client is as impatient as others",
		in("internal/redisconn/open.go", "if o.Patient {", "if false {"),
		"./internal/redisconn", "TestPatientClientBearsARestart",
	},
	{
		"a start during a failover", "it ends at the first error",
		in("cmd/worker/start.go", "!redisconn.Passing(err, p.several)", "true"),
		"./cmd/worker", "TestStartWaitsForAFailover",
	},
	{
		"wrong settings", "sealing keys are taken as they come",
		in("internal/config/parse.go", "if _, err := vault.ParseKeys(v); err != nil {", "if _, err := vault.ParseKeys(v); false {"),
		"./cmd/worker", "TestUsageOfTheWorker",
	},
	{
		"watch", "Ctrl-C is a failure",
		in("cmd/enqueue/watch.go", "if err != nil && cmd.Context().Err() != nil {", "if false {"),
		"./cmd/enqueue", "TestWatchEndedByCtrlC",
	},
	{
		"timetables", "Sunday is not known as 7",
		in("internal/schedule/timetable.go", "parser.Parse(sundayAs7(expr))", "parser.Parse(expr)"),
		"./internal/schedule", "TestWords",
	},
}
