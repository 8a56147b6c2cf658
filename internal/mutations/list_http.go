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
}
