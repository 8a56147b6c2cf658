package main

// httpMutations are of what is asked over HTTP.
var httpMutations = []mutation{
	{
		"prune takes no part of a file", "over HTTP, a row of a rejects file that does not say so hides that others do",
		in("internal/web/api/batches.go", "u.part = u.part || row.FromRejects", "u.part = row.FromRejects"),
		"./internal/web/api", "TestPruneOfManyMustBeNamed",
	},
	{
		"wrong API keys are throttled", "any number may be given",
		in("internal/web/guard/guard.go", "!g.throttle.Allow() {", "false {"),
		"./internal/web/guard", "TestWrongKeysAreThrottled",
	},
	{
		"gzip over HTTP", "a body may hold as much as it likes",
		in("internal/web/api/decode.go", "return http.MaxBytesReader(w, io.NopCloser(body), limit)", "return io.NopCloser(body)"),
		"./internal/web/api", "TestGzipBombs",
	},
	{
		"gzip over HTTP", "a gzip of nothing may be as long as it likes",
		in("internal/web/api/decode.go", "io.LimitReader(body, 2*limit)", "body"),
		"./internal/web/api", "TestGzipBombs",
	},
	{
		"gzip over HTTP", "a body whose gzip was cut looks whole",
		in("internal/web/guard/gzip.go", `return fmt.Errorf("%w: %v", ErrGzip, err)`, "_ = fmt.Errorf\n\treturn io.EOF"),
		"./internal/web/guard", "TestGunzip",
	},
	{
		"gzip over HTTP", "server-sent events are compressed",
		in("internal/web/guard/gzip.go", `case "text/event-stream":`, `case "text/none":`),
		"./internal/web/guard", "TestAnswersInGzip",
	},
	{
		"answers that wait", "each request that waits looks for itself",
		in("internal/web/hub/hub.go", "begin := r == nil || ", "begin := true || r == nil || "),
		"./internal/web/api", "TestManyWaitForTheCostOfOne",
	},
	{
		"answers that wait", "what was read before is an answer",
		in("internal/web/api/wait.go", "last, t.Since = first, time.Now()", "last = first"),
		"./internal/web/api", "TestWhatWasReadBeforeIsNoAnswer",
	},
	{
		"answers that wait", "a server that shuts down does not end them",
		in(streamingGo, "endingWith(s.closing, ctx)", "endingWith(s.base, ctx)"),
		"./internal/web/api", "TestWaitsEnd/the_server_shuts_down",
	},
	{
		"texts of JSON", "half a surrogate pair becomes another character",
		in("internal/rows/jsonl.go", "o.half || err != nil", "o.half && err != nil"),
		"./internal/rows", "TestJSONLinesBadRowsAlone",
	},
	{
		"HTTP: what an error means", "a batch that was deleted meanwhile is one of a wrong name",
		in("internal/web/api/errors.go", "	ledger.BatchGone: \"this", "	\"\": \"this"),
		"./internal/web/api", "TestABatchThatWasDeletedMeanwhileIsGivenAgain",
	},
}
