package main

const (
	scheduleLua    = "internal/schedule/lua/"
	onceLua        = "internal/ledger/lua/once.lua"
	timetableGo    = "internal/schedule/timetable.go"
	wallclockGo    = "internal/wallclock/wallclock.go"
	schedulerRunGo = "internal/engine/scheduler.go"
)

// scheduleMutations are of recurring runs.
var scheduleMutations = []mutation{
	{
		"schedules: a tick is claimed once", "the claim does not look whether the schedule has changed",
		in(scheduleLua+"claim.lua", "if get('version') ~= ARGV[1] or get('claim') then", "if false then"),
		"./internal/schedule", "TestClaimHasOneWinner/miniredis",
	},
	{
		"schedules: a lost reply", "what was done is told as not done",
		in(onceLua, "if told then return cjson.decode(told)[1] end", ""),
		"./internal/schedule", "TestLostReply/miniredis",
	},
	{
		"schedules: one that is added while one of its name is removed", "it is not listed again",
		in("internal/schedule/store.go", "		err = s.list(ctx, id, st.Created)\n", "		_ = st\n"),
		"./internal/schedule", "TestAddedWhileItIsRemoved",
	},
	{
		"schedules: lease of a claim", "a run is taken over while its worker is at it",
		in(scheduleLua+"take.lua", " or tonumber(get('claim_until')) > at then", " then"),
		"./internal/schedule", "TestClaimHasOneWinner/miniredis",
	},
	{
		"schedules: fence of a claim", "a worker that lost the claim can still write the end",
		in(scheduleLua+"finish.lua", "if not holds(ARGV[1]) then return 0 end", ""),
		"./internal/schedule", "TestTakeOverHasOneWinnerAndFencesTheOther/miniredis",
	},
	{
		"schedules: numbers of claims never come again", "a schedule that is added again begins at 1",
		in(scheduleLua+"library.lua", "math.max(tonumber(get(name) or '0') + 1, tonumber(t[1]) * 1000000 + tonumber(t[2]))", "tonumber(get(name) or '0') + 1"),
		"./internal/schedule", "TestPauseResumeAskRemove/miniredis",
	},
	{
		"schedules: what a run passes over is decided once", "a worker that takes over a run decides again",
		append(in(scheduleLua+"decided.lua", " or get('claim_decided') then", " then"),
			edit{schedulerRunGo, "if !c.Decided {", "if true {"}, edit{scheduleLua + "take.lua", "'claim', number,", "'claim', number, 'claim_first', number,"}),
		"./internal/engine", "TestTakenOverRunPassesOverTheSame",
	},
	{
		"schedules: a run does not pile up", "calls of held chains are enqueued",
		in(schedulerRunGo, "if _, is := passed[chainID]; is {", "if false {"),
		"./internal/engine", "TestRunPassesOverHeldChains",
	},
	{
		"schedules: rows behind a bad one are not kept", "they are, and every run makes them out of order",
		in("cmd/enqueue/schedule_add.go", "if _, is := left[row.Line]; is || err != nil", "if err != nil"),
		"./cmd/enqueue", "TestStories/scheduleleft",
	},
	{
		"schedules: a run does not pass over its own calls", "a chain that is held at a call of the run is left out too",
		in(schedulerRunGo, "if err == nil && c.Head.Batch == batchID {", "if false {"),
		"./internal/engine", "TestRunIsMadeAgainWhereTheClaimWasLost",
	},
	{
		"schedules: runs do not overlap", "the last run is not looked at",
		in("internal/schedule/definition.go", "	if overlap {\n", "	if true {\n"),
		"./internal/engine", "TestRunsDoNotOverlap",
	},
	{
		"schedules: a worker that stops gives its run back", "it leaves the claim as it is",
		in(schedulerRunGo, "return ignoreLost(s.store.GiveBack(ending, st.ID, c, 0, \"\"))", "return nil"),
		"./internal/engine", "TestStoppingWorkerGivesItsRunBack",
	},
	{
		"schedules: ticks of the skipped hour", "they are taken for those of an hour earlier",
		in(wallclockGo, "if !t.Add(offset).Before(wall) {", "if false {"),
		"./internal/schedule", "TestTicks",
	},
	{
		"schedules: ticks of the doubled hour", "they are made in the second of the two",
		in(wallclockGo, "at.Before(end)", "at.Before(end.Add(-time.Hour))"),
		"./internal/schedule", "TestTicks",
	},
	{
		"schedules: sealed rows are bound to their place", "a chunk opens anywhere",
		in("internal/schedule/rows.go", `return "schedule " + id + " " + revision + " " + strconv.Itoa(chunk)`, `return "schedule " + id[:0] + revision[:0] + strconv.Itoa(chunk)[:0]`),
		"./internal/schedule", "TestRowsAreSealedAndStreamed/miniredis",
	},
	{
		"schedules: replacing one keeps its settings", "the policy is the default's",
		in("cmd/enqueue/schedule_add.go", "o.def.OnFailure, o.onFailure = have.OnFailure, have.OnFailure", ""),
		"./cmd/enqueue", "TestStories/schedule",
	},
}
