package main

const streamingGo = "internal/streaming/streaming.go"

// streamingMutations are of bodies that come in slowly.
var streamingMutations = []mutation{
	{
		"uploads that stall", "the rest of a body that failed is waited for without end",
		in(streamingGo, "case err == io.EOF:", "case err != nil:"),
		"./internal/httpapi", "TestUploadsThatStall",
	},
	{
		"uploads that stall", "the answer waits for the rest of the body without end",
		in(streamingGo, "if r.ContentLength == 0 {", "if r.ContentLength != 1 {"),
		"./internal/httpapi", "TestUploadsThatStall",
	},
	{
		"uploads that stall", "what came before ends with the connection",
		in(streamingGo, "context.WithCancel(context.WithoutCancel(ctx))", "context.WithCancel(ctx)"),
		"./internal/httpapi", "TestUploadsThatStall",
	},
	{
		"uploads that stall", "a slow one is given up",
		in(streamingGo, "b.rc.SetReadDeadline(until)", "error(nil)"),
		"./internal/httpapi", "TestUploadsThatAreSlow",
	},
}
