package main

// awayMutations are of a Redis of which a part can't be read.
var awayMutations = []mutation{
	{
		"a part of Redis is away", "nothing is told of the tokens of the others",
		in("internal/webhook/teller.go", "	rows, unread := t.control.Quota(ctx)\n", "	rows, unread := t.control.Quota(ctx)\n	if unread != nil {\n		return unread\n	}\n"),
		"./internal/webhook", "TestQuotaIsToldWhileAPartIsAway",
	},
	{
		"no script runs on half a bucket", "a script of the ledger does",
		in("internal/redisconn/script.go", "return []string{p, p + \"whole\"}", "return []string{p}"),
		"./internal/ledger", "TestNoScriptRunsOnHalfABucket",
	},
	{
		"no script runs on half a bucket", "a grant does",
		in("internal/redisconn/script.go", "return []string{p, p + \"whole\"}", "return []string{p}"),
		"./internal/quota", "TestNothingIsGrantedOnHalfABucket",
	},
	{
		"no script runs on half a bucket", "a script of a schedule does",
		in("internal/schedule/store.go", `s.key(id) + "told:" + rand.Text()}`, `s.key(id) + rand.Text()[:0]}`),
		"./internal/schedule", "TestNoScriptRunsOnHalfASchedule",
	},
	{
		"the parts of a ledger that can be read", "counts of a part pass for those of all",
		in("internal/ledger/counts.go", "	return sum, live, unread.Of(Buckets)", "	_ = unread.Of(Buckets)\n	return sum, live, nil"),
		"./internal/control", "TestPartOfABatchIsDown",
	},
	{
		"the parts of a ledger that can be read", "a batch with a part unread is settled",
		in("internal/control/status.go", "c.Settled() && !m.Live && err == nil", "c.Settled() && !m.Live"),
		"./internal/control", "TestPartOfABatchIsDown",
	},
	{
		"the parts of a ledger that can be read", "a batch that can't be read takes the list away",
		in("internal/ledger/batches.go", "	return out, unread.Of(len(ids))\n", "	return nil, unread.Cause\n"),
		"./internal/control", "TestABatchOfTheListIsDown",
	},
	{
		"the parts of a ledger that can be read", "a purge asks each bucket of a node that is away",
		in("internal/ledger/unread.go", "up, unread := l.readable(ctx, tags)\n", "up, unread := tags, unreadParts()\n"),
		"./internal/control", "TestPurgeWhilePartOfTheLedgerIsDown",
	},
	{
		"the parts of a ledger that can be read", "a decision over all stops where a part can't be read",
		in("internal/control/decide.go", "	if !redisconn.Partly(unread) {\n		return 0, unread\n", "	if unread != nil {\n		return 0, unread\n"),
		"./internal/control", "TestDecisionsWhilePartOfTheLedgerIsDown",
	},
	{
		"the parts of a ledger that can be read", "a decision does not say that it missed a part",
		in("internal/control/decide.go", `cutOff("the decision", total, errors.Join(unread, err))`, `cutOff("the decision", total, err)`),
		"./internal/control", "TestDecisionsWhilePartOfTheLedgerIsDown",
	},
	{
		"the parts of a ledger that can be read", "a token that can't be read takes the others' quota away",
		in("internal/quota/token.go", "				unread.Add(Tag(t), err)\n				continue\n", "				return nil, err\n"),
		"./internal/control", "TestPartOfTheLedgerIsDown",
	},
	{
		"the parts of a ledger that can be read", "the command says nothing of what it lacks",
		in("cmd/enqueue/output.go", "	words()\n	return err\n", "	words()\n	return nil\n"),
		"./cmd/enqueue", "TestStories/partly",
	},
	{
		"the parts of a ledger that can be read", "a schedule that can't be read takes the list away",
		in("internal/schedule/store.go", "	return out, now, unread.Of(len(ids))\n", "	return nil, now, unread.Cause\n"),
		"./internal/control", "TestPartOfTheSchedulesIsDown",
	},
	{
		"the parts of a ledger that can be read", "a schedule that can't be read keeps the others from their runs",
		in("internal/engine/scheduler.go", "if !redisconn.Partly(unread) {", "if !redisconn.Partly(nil) || unread != nil {"),
		"./internal/engine", "TestScheduleThatCantBeRead",
	},
	{
		"the parts of a ledger that can be read", "a batch of a run that can't be read takes the list of schedules away",
		in("internal/control/schedules.go", "	case redisconn.Partly(err):\n", "	case err == nil:\n"),
		"./internal/control", "TestPartOfTheSchedulesIsDown",
	},
	{
		"the parts of a ledger that can be read", "a batch is open again though a part of it is not",
		in("internal/control/decide.go", "	if unread == nil {\n", "	if true {\n"),
		"./internal/control", "TestReopenWhileAPartIsDown",
	},
	{
		"the parts of a ledger that can be read", "a sync of the quota needs every part",
		in("internal/engine/quotasync.go", "		return redisconn.Partly(err)\n", "		return err == nil\n"),
		"./cmd/enqueue", "TestStories/partly",
	},
	{
		"the parts of a ledger that can be read", "a worker looks at the data of all shards or of none",
		in("internal/ledger/epoch.go", "	return all, unread.Of(Buckets)\n", "	return all, unread.Cause\n"),
		"./internal/engine", "TestWorkerWhileAShardIsAway",
	},
	{
		"the parts of a ledger that can be read", "the old list of a batch's buckets is needed for ever",
		in("internal/ledger/batches.go", `if keys.Val() != "content" {`, "if true {"),
		"./internal/ledger", "TestTheOldListOfBucketsIsAway",
	},
	{
		"raised licences wake who waits for the quota", "a single call's bucket is not signalled",
		in("internal/engine/producer.go", "		_ = p.ledger.Signal(ctx, p.clock.Now(), done.Ready...)\n", ""),
		"./internal/engine", "TestRaisedLicencesSignal",
	},
}
