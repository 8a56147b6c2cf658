package main

// webhookMutations are of what other programs are told.
var webhookMutations = []mutation{
	{
		"the end of a call is told", "not if its batch is cancelled, or it is pruned",
		in("internal/ledger/lua/cancel_batch.lua", "note_end(batch, field, rec)", ""),
		"./internal/webhook", "TestFinishedCallsAreTold",
	},
	{
		"the end of a call is told", "not to who asks for it with a whole batch",
		in("internal/engine/batchrun.go", "c.Notify = c.Notify || b.Notify", ""),
		"./internal/web/api", "TestBatchAsksForWebhooks",
	},
	{
		"the end of a call is told", "the command that goes on does not ask for it",
		in("cmd/enqueue/bulk.go", `"strict", "notify", "at"}`, `"strict", "at"}`),
		"./cmd/enqueue", "TestStories/bulk",
	},
	{
		"webhooks are told once", "a mark that another worker changed is no hindrance",
		in("internal/webhook/lua/tell.lua", "if have ~= ARGV[2] then return { 0, 0 } end", ""),
		"./internal/webhook", "TestTellOnce",
	},
	{
		"webhooks are told once", "what was told while all batches were looked at is forgotten",
		in("internal/webhook/batches.go", `	return t.forget(ctx, "b:", marks)`, `	marks, err := t.outbox.Marks(ctx)
	return errors.Join(err, t.forget(ctx, "b:", marks))`),
		"./internal/webhook", "TestMarksOfWhatIsGoneGo",
	},
	{
		"webhooks are told once", "what was told of schedules that are gone is kept for ever",
		in("internal/webhook/teller.go", `t.forget(ctx, "s:", marks)`, "error(nil)"),
		"./internal/webhook", "TestMarksOfWhatIsGoneGo",
	},
	{
		"webhooks are told again when a batch settles again", "a batch that was told is never told again",
		in("internal/webhook/news.go", "at != m.settled {", "m.settled == 0 {"),
		"./internal/webhook", "TestJudgeBatch/it_has_settled_again",
	},
	{
		"held chains are told at most once in ten minutes", "each one is told",
		in("internal/webhook/news.go", "case n > m.held && now.UnixMilli()-m.heldAt >= digestEvery.Milliseconds():", "case n > m.held:"),
		"./internal/webhook", "TestJudgeBatch/another_one,_soon",
	},
	{
		"what a worker says of a webhook is fenced", "one whose lease has ended is believed",
		in("internal/webhook/lua/done.lua", "if m.k ~= ARGV[3] then return 'stale' end", ""),
		"./internal/webhook", "TestDeliveriesAreFenced",
	},
	{
		"webhooks are given up after 24 h", "they are tried for ever",
		in("internal/webhook/lua/done.lua", "if at > m.at + tonumber(ARGV[8]) then", "if false then"),
		"./internal/webhook", "TestRetries",
	},
	{
		"webhooks that wait are bounded", "any number may wait",
		in("internal/webhook/lua/tell.lua", "while redis.call('ZCARD', age) > tonumber(ARGV[4]) do", "while false do"),
		"./internal/webhook", "TestOldestDeliveriesGo",
	},
	{
		"webhooks are signed with each secret", "the first alone signs",
		in("internal/webhook/receiver.go", `strings.Join(signatures, " ")`, `strings.Join(signatures[:1], " ")`),
		"./internal/webhook", "TestSignature",
	},
	{
		"redirects of receivers are not followed", "they are",
		in("internal/webhook/sender.go", "return http.ErrUseLastResponse }", "return nil }"),
		"./internal/webhook", "TestFailures/a_redirect",
	},
	{
		"a receiver that hangs keeps no other waiting", "receivers are served one after the other",
		in("internal/webhook/sender.go", "all.Go(func() { s.serve(ctx, r) })", "s.serve(ctx, r)"),
		"./internal/webhook", "TestReceiverThatHangs",
	},
	{
		"calls that ask for it are told of in the step that ends them", "their ends are not noted",
		in("internal/ledger/lua/base.lua", "ref[4] == 1 and", "false and"),
		"./internal/webhook", "TestFinishedCallsAreTold",
	},
	{
		"calls that ask for it are told of in the step that ends them", "not if they succeed at the first attempt",
		in("internal/ledger/lua/library.lua", " and not string.find(raw, ',1],', 1, true)", ""),
		"./internal/ledger", "TestRecordSaysWhatBecameOfTheCall",
	},
}
