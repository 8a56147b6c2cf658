package main

// httpMutations are of what is asked over HTTP.
var httpMutations = []mutation{
	{
		"wrong API keys are throttled", "an address may give as many as it likes",
		in("internal/access/guard.go", "wait > 0 {", "false {"),
		"./internal/access", "TestWrongKeysAreThrottled",
	},
	{
		"wrong API keys are throttled", "every address is remembered for ever",
		in("internal/access/throttle.go", "len(t.recent) >= maxAddresses", "false"),
		"./internal/access", "TestThrottleIsBounded",
	},
	{
		"gzip over HTTP", "a body may hold as much as it likes",
		in("internal/httpapi/decode.go", "return http.MaxBytesReader(w, io.NopCloser(body), limit)", "return io.NopCloser(body)"),
		"./internal/httpapi", "TestGzipBombs",
	},
	{
		"gzip over HTTP", "a gzip of nothing may be as long as it likes",
		in("internal/httpapi/decode.go", "io.LimitReader(body, 2*limit)", "body"),
		"./internal/httpapi", "TestGzipBombs",
	},
	{
		"gzip over HTTP", "a body whose gzip was cut looks whole",
		in("internal/streaming/gzip.go", `return fmt.Errorf("%w: %v", ErrGzip, err)`, "_ = fmt.Errorf\n\treturn io.EOF"),
		"./internal/streaming", "TestGunzip",
	},
	{
		"gzip over HTTP", "server-sent events are compressed",
		in("internal/streaming/gzip.go", `case "text/event-stream":`, `case "text/none":`),
		"./internal/streaming", "TestAnswersInGzip",
	},
	{
		"texts of JSON", "half a surrogate pair becomes another character",
		in("internal/intake/jsonscan.go", "o.half || HalfSurrogate(text)", "false"),
		"./internal/intake", "TestJSONLinesBadRowsAlone",
	},
}
