package main

// faultMutations are of what processes agree on, and of a Redis that lost its data or restarted.
var faultMutations = []mutation{
	{
		"nobody seals under a key that a worker lacks", "a process that joins does",
		in("internal/membership/registry.go", "if err := r.CheckKeys(ctx, p); err != nil {", "if err := error(nil); err != nil {"),
		"./internal/membership", "TestSealingKeys",
	},
	{
		"nobody seals under a key that a worker lacks", "a worker joins that lacks the key of a producer",
		in("internal/membership/registry.go", "!lacks(p, me) && !lacks(me, p)", "!lacks(p, me)"),
		"./internal/membership", "TestSealingKeys",
	},
	{
		"nobody seals under a key that a worker lacks", "rekey does",
		in("cmd/enqueue/keys.go", "membership.Self(membership.Producer, keys.IDs()...)", "membership.Self(membership.Producer)"),
		"./cmd/enqueue", "TestRekeyBeforeAWorkerHasTheKey",
	},
	{
		"recall after DEFAULT_LICENSES was raised", "none",
		in("internal/engine/reconciler.go", "if before < s.settings.DefaultLicenses {", "if false {"),
		"./internal/engine", "TestRaisedDefaultLicensesRecall",
	},
	{
		"shared settings", "DEFAULT_LICENSES is none of them",
		in("internal/engine/producer.go", "		settingDefaultLicenses: fmt.Sprint(s.DefaultLicenses),\n", ""),
		"./internal/engine", "TestSharedSettings",
	},
	{
		"shared settings", "QUOTA_GUARD is none of them",
		in("internal/engine/producer.go", "		settingGuard:           s.Guard.String(),\n", ""),
		"./internal/engine", "TestSharedSettings",
	},
	{
		"a draining worker is a member", "its membership ends when it is told to stop",
		in("internal/engine/worker.go", "w.member.Keep(membership)", "func() error { _ = membership; return w.member.Keep(soft) }()"),
		"./internal/engine", "TestDrainingWorkerStaysAMember",
	},
	{
		"shared settings", "a Go program's worker has any time-outs and places",
		in("internal/engine/worker.go", "	if err := o.check(); err != nil {", "	if err := o.check(); false {"),
		"./internal/engine", "TestWorkerRefusesOptionsThatCantBe",
	},
	{
		"membership", "who leads does not keep its lease by asking",
		in("internal/membership/membership.go", "return true, rdb.PExpire(ctx, key, lease).Err()", "return true, nil"),
		"./internal/membership", "TestOneLeads",
	},
	{
		"membership", "a quota sync joins and sends no beat",
		in("internal/engine/quotasync.go", "_ = q.member.Keep(keep)", "<-keep.Done()"),
		"./internal/engine", "TestOpenQuotaSyncStaysAMember",
	},
	{
		"metrics at once", "a worker that was closed before takes back another's metrics",
		in("internal/engine/worker.go", "sync.OnceFunc(func() { o.Metrics.Unregister(w.meter.own) })", "func() { _ = sync.OnceFunc; o.Metrics.Unregister(w.meter.own) }"),
		"./internal/engine", "TestClosedWorkerLeavesTheMetricsOfAnother",
	},
	{
		"nodes of Redis", "a scheme in capitals is one Redis",
		in("internal/redisconn/url.go", "	return schemes[strings.ToLower(scheme)].mode", "	return schemes[scheme].mode"),
		"./internal/redisconn", "TestURLTellsHowRedisIsRun",
	},
	{
		"membership", "the time that a machine was suspended is none",
		in("internal/membership/membership.go", " && now.Round(0).Before(until.Round(0))", ""),
		"./internal/membership", "TestSuspendedMachineIsNotCurrent",
	},
	{
		"a draining worker is a member", "it leaves with requests in flight",
		in("internal/engine/worker.go", "if n := w.runner.active.Load(); n > 0 {", "if n := w.runner.active.Load(); n > 1<<30 {"),
		"./internal/engine", "TestWorkerWithARunThatDoesNotEndDoesNotLeave",
	},
	{
		"restart hold", "an older file under appendfsync always is taken for the same data",
		in("internal/engine/restart.go", " && w.sameData(ctx, cn) {", " {"),
		"./internal/engine", "TestDurableRedisGoesOn",
	},
	{
		"restart hold", "a replica that took over while no worker was there is taken for a restart that lost nothing",
		in("internal/engine/restart.go", "return !s.Master }", "return false && !s.Master }"),
		"./internal/engine", "TestReplicaTookOverWhileNoWorkerWasThere",
	},
	{
		"restart hold", "who founds the ledger does not say which process has it",
		in("internal/engine/memory.go", "runOf(ctx, s.ledger, runs))", "func(string) string { _ = runs; return \"\" })"),
		"./internal/engine", "TestRestartBeforeTheFirstWorker",
	},
	{
		"restart hold", "a Redis that does not tell its run_id is used",
		in("internal/redisconn/watch.go", "\treturn &BlindError{Cause: cn.Info(ctx, \"server\").Err()}", "\treturn nil"),
		"./internal/redisconn", "TestWatchOfARedisThatDoesNotTellItsRunID",
	},
	{
		"restart hold", "a former master that takes over again is not seen at idle connections",
		in("internal/engine/restart.go", "case e.Run == \"\" && doubt == 0,", "case !starting, e.Run == \"\" && doubt == 0,"),
		"./internal/engine", "TestAnotherProcessHasTheData",
	},
	{
		"restart hold", "a bucket that was moved is taken for one whose node was replaced",
		in("internal/engine/restart.go", " || w.serves(ctx, e.Run, run)):", "):"),
		"./internal/engine", "TestReshardingFreezesNothing",
	},
	{
		"restart hold", "a planned failover of a cluster freezes as any other",
		in("internal/engine/restart.go", "case w.succeeds(ctx, e.Tag, e.Run):", "case false:"),
		"./internal/engine", "TestPlannedFailoverFreezesNothing",
	},
	{
		"restart hold", "a take-over that can't show that it lost nothing is taken for one that did not",
		in("internal/engine/restart.go", "case w.succeeds(ctx, e.Tag, e.Run):", "case !starting && w.prove > 0:"),
		"./internal/engine", "TestFormerMasterTakesOver",
	},
	{
		"restart hold", "requests are sent while a take-over is in doubt",
		in("internal/engine/attempt.go", "return r.doubt.Load() > 0 || r.granted(a)", "return r.granted(a)"),
		"./internal/engine", "TestNoRequestWhileATakeOverIsInDoubt",
	},
	{
		"a new master", "a master that hangs is waited for as long as one that can't be replaced",
		in("internal/redisconn/open.go", "const QuickRead = 800 * time.Millisecond", "const QuickRead = time.Minute"),
		"./e2e", "TestMasterHangs",
	},
	{
		"versions", "the ledger of a later version is used",
		in("internal/engine/options.go", "if have > ledgerFormat {", "if false {"),
		"./internal/engine", "TestLedgerOfALaterVersionIsRefused",
	},
	{
		"several queues", "a worker takes from as many as it is told, whatever there is",
		in("internal/engine/asynq.go", "		if slices.Contains(there, name) {", "		if false && slices.Contains(there, name) {"),
		"./internal/engine", "TestNumberOfQueuesChanges",
	},
	{
		"several queues", "all chains go into the first one",
		in("internal/engine/asynq.go", "return names[ledger.TagIndex(ledger.Tag(chain))%len(names)]", "return names[0]"),
		"./internal/engine", "TestNumberOfQueuesChanges",
	},
	{
		"a day's ramp", "all chains that wait for a day begin in its first moment",
		in("internal/ledger/lua/library.lua", "till = till + ramp(c.id)", "till = till + 0"),
		"./internal/engine", "TestDayBeginsWithARamp",
	},
	{
		"acknowledged writes", "a grant counts before replicas have it",
		in("internal/ledger/run.go", "	ctx = redisconn.Acknowledged(ctx)\n	for try", "	for try"),
		"./internal/engine", "TestNoRequestBeforeItsGrantIsAcknowledged",
	},
	{
		"acknowledged writes", "an outcome counts before replicas have it",
		in("internal/ledger/run.go", "l.runJoint(redisconn.Acknowledged(ctx), l.finish", "l.runJoint(ctx, l.finish"),
		"./internal/engine", "TestNoRequestBeforeTheOutcomeIsAcknowledged",
	},
	{
		"acknowledged writes", "a grant that replicas lack is kept until its lease ends",
		in("internal/engine/record.go", "return time.Since(u.since) >= ackPatience", "return false"),
		"./internal/engine", "TestNoRequestBeforeItsGrantIsAcknowledged",
	},
	{
		"acknowledged writes", "too few replicas are enough",
		in("internal/redisconn/acks.go", "if enough && (got >= want || left) {", "_, _ = enough, left\n	if err == nil {"),
		"./internal/redisconn", "TestReplicasAcknowledge",
	},
	{
		"acknowledged writes", "as many replicas as are asked for are enough, whatever others there are",
		[]edit{
			{"internal/redisconn/acks.go", "return max(a.replicas, a.at(node).count)", "return a.replicas"},
			{"internal/redisconn/acks.go", "want := max(a.replicas, has.count)", "want := a.replicas"},
		},
		"./internal/redisconn", "TestAllReplicasThatAreThereAcknowledge",
	},
	{
		"acknowledged writes", "a call that is appended twice for its replicas is told as known",
		in("internal/redisconn/patience.go", "			script.SetVal(reply)", "			_ = reply"),
		"./internal/redisconn", "TestPatientWriteKeepsItsFirstReply",
	},
	{
		"acknowledged writes", "scripts that wait for replicas hold up the others",
		in("internal/redisconn/pipeline.go", "		if needsAck(ctx) {\n			l = &g.acked", "		if false {\n			l = &g.acked"),
		"./internal/redisconn", "TestAcknowledgedScriptsHavePipelinesOfTheirOwn",
	},
	{
		"a new master", "a cluster's client asks once a minute who has which slot",
		in("internal/redisconn/open.go", "const followCluster = time.Second", "const followCluster = time.Minute"),
		"./internal/redisconn", "TestClusterClientFindsTheNewMaster",
	},
	{
		"epochs of the data", "a grant does not miss one",
		in("internal/quota/lua/library.lua", "if not e and not known then return", "if not e then return"),
		"./internal/engine", "TestRedisLosesItsData",
	},
	{
		"epochs of the data", "a look does not see that they went back",
		in("internal/engine/memory.go", "\t\tcase older:", "\t\tcase older && false:"),
		"./internal/engine", "TestDataThatGoesBack",
	},
	{
		"epochs of the data", "a worker is ready while nothing is granted",
		in("internal/engine/ready.go", "\treturn w.stack.frozen()\n", "\treturn nil\n"),
		"./internal/engine", "TestWorkerSaysThatDataIsLost",
	},
	{
		"one token-ID key", "calls are appended under another one",
		in("internal/ledger/lua/append.lua", "if ARGV[4] ~= '' then", "if false then"),
		"./internal/engine", "TestOtherTokenIDKey",
	},
	{
		"one token-ID key", "one that starts does not wait for those who live",
		in("internal/engine/memory.go", "if used && time.Now().Before(end)", "if used && time.Now().After(end)"),
		"./internal/engine", "TestProducerAlonePutsTheKeyBack",
	},
	{
		"one token-ID key", "it is made anew where the calls have names of the old one",
		in("internal/engine/memory.go", "err = &KeyLostError{s.keyName(), s.prefix}", "err = nil"),
		"./internal/engine", "TestTokenIDKeyIsGoneAndTheCallsAreNot",
	},
	{
		"one token-ID key", "who puts it back does not join again",
		in("internal/engine/memory.go", "\tif member != nil {", "\tif member == nil {"),
		"./internal/engine", "TestRedisLosesItsData",
	},
}
