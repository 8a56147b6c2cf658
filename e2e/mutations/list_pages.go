package main

// pageMutations are of what people are shown.
var pageMutations = []mutation{
	{
		"pages: why a token cools down", "its code is not told",
		in("internal/control/quota.go", "reason = stored", `reason = ""`),
		"./internal/control", "TestCoolDownsByCode",
	},
	{
		"pages: thousands of held chains", "all of them are cards",
		in("internal/web/console/chains.go", "const heldPerPage = 25", "const heldPerPage = 25_000"),
		"./internal/web/console", "TestThousandsOfHeldChainsAreASmallPage",
	},
	{
		"pages: when a batch begins", "a call that is due at once among those that were put off is not seen",
		in("internal/ledger/lua/append.lua", "  local begun = at_once_too or (total and not first)\n", "  local begun = total and not first\n"),
		"./internal/ledger", "TestCountsTellWhenABatchBegins",
	},
	{
		"pages: rate of a batch", "what was cancelled counts",
		in("internal/control/progress.go", "p.Rate = rate.See(now, p.Succeeded)", "p.Rate = rate.See(now, p.Ended())"),
		"./internal/control", "TestOnlySuccessesAreARate",
	},
	{
		"pages: tokens count what waits for them", "the chains that wait for the quota are left out",
		in("internal/ledger/chain.go", `{"slots": true, "quota": true, "cooling": true}`, `{"slots": true, "cooling": true}`),
		"./internal/control", "TestTokensCountWhatWaitsForThem",
	},
	{
		"pages: decisions for a cause", "all held chains are decided on",
		in("internal/control/decide.go", `s.Cause != "" && Cause(c.Head) != s.Cause {`, `s.Cause != "" && false {`),
		"./internal/control", "TestHeldChainsByCause",
	},
	{
		"pages: decisions for a cause", "a batch is cancelled as a whole",
		in("internal/control/decide.go", `case s.Batch != "" && s.Cause == "":`, `case s.Batch != "":`),
		"./internal/control", "TestHeldChainsByCause",
	},
	{
		"pages: notices are told once", "the cookie is not taken away",
		in("internal/web/console/page.go", `Path: "/", MaxAge: -1,`, `Path: "/",`),
		"./internal/web/console", "TestDecisionsAreAskedAboutDoneAndWrittenDown",
	},
	{
		"pages: one language", "the prose of a command is shown",
		in("internal/web/console/plain.go", `said := w.sayOr("result."+e.Ended, e.Result)`, `said := e.Result`),
		"./internal/web/console", "TestResultsOfActionsInPlainWords",
	},
	{
		"time left", "what stands behind a held call is counted",
		in("internal/control/progress.go", "calls := s.Open - s.Blocked", "calls := s.Open"),
		"./internal/control", "TestTimeLeft",
	},
	{
		"audit log", "single calls of programs push out what people decided",
		in("internal/control/actor.go", "if actor(ctx).Via != ByCLI {", "if false {"),
		"./internal/control", "TestSingleCallsOfPeopleAreNoted",
	},
	{
		"audit log", "an entry has its result in words alone",
		in("internal/control/audit.go", `"result", clip(e.Result)}, e.stored()...)`, `"result", clip(e.Result)})`),
		"./internal/control", "TestLog",
	},
	{
		"audit log", "a batch that broke off leaves no entry",
		in("internal/control/actor.go", "	o.note(ctx, \"enqueue\", \"batch \"+batch", "	if err != nil {\n		return err\n	}\n	o.note(ctx, \"enqueue\", \"batch \"+batch"),
		"./internal/control", "TestDecisionsAreNoted",
	},
	{
		"pages: state of a batch", "a cancelled batch is done",
		in("internal/web/console/batches.go", `case v.Stopped && v.Succeeded < v.Total, v.Stopped && v.Total == 0:`, `case v.Stopped && v.Total == 0:`),
		"./internal/web/console", "TestStatesOfABatch",
	},
	{
		"pages: what was decided is seen", "a page shows what was read before",
		in("internal/web/hub/hub.go", "	clear(h.by)\n", ""),
		"./internal/web/hub", "TestNothingOldIsShownAfterADecision",
	},
	{
		"pages: what takes long is read seldom", "a reading is forgotten before it is due",
		in("internal/web/hub/hub.go", ">= 2*h.fresh && h.over(old, true)", ">= 2*h.fresh && !old.at.IsZero()"),
		"./internal/web/hub", "TestWhatTookLongIsKept",
	},
	{
		"pages: decisions for a cause", "a call without a code is told by its text",
		in("internal/control/cause.go", "	return CauseOther\n}\n\n// Remedy is", "	return string(wolkvox.BadToken)\n}\n\n// Remedy is"),
		"./internal/control", "TestCausesAreCodes",
	},
	{
		"pages: a skip that is no help", "what is held of a batch is not looked at",
		in("internal/web/console/decide.go", `a.Scope == "batch" && a.Do == "skip")`, `a.Scope == "batch" && a.Do == "")`),
		"./internal/web/console", "TestHeldChainsAreDecidedOnTogether",
	},
	{
		"pages: rate of a batch", "two looks at once are a rate",
		in("internal/web/console/batches.go", "first || at.Sub(s.At) >= fresh/2", "first || at.After(s.At)"),
		"./internal/web/console", "TestRates",
	},
	{
		"pages: state of a batch", "one that waits behind another batch has ended",
		in("internal/web/console/batches.go", "	case v.BehindOthers() > 0:", "	case v.BehindOthers() < 0:"),
		"./internal/web/console", "TestStatesOfABatch",
	},
	{
		"pages: rate of a batch", "a first wave of answers is one",
		in("internal/web/console/batches.go", "!first && !s.Early()", "!first"),
		"./internal/web/console", "TestOnlySuccessesAreARateOfAPage",
	},
	{
		"watch: rate of a batch", "a first wave of answers is one",
		in("internal/control/progress.go", "	if r.Early() {\n", "	if false {\n"),
		"./internal/control", "TestPaceIsSmooth",
	},
}
