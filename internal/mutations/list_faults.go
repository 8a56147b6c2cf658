package main

// faultMutations are of what processes agree on, and of a Redis that lost its data or restarted.
var faultMutations = []mutation{
	{
		"shared settings", "DEFAULT_LICENSES is none of them",
		in("tasks/worker.go", "		\"DEFAULT_LICENSES\": fmt.Sprint(s.settings.DefaultLicenses),\n", ""),
		"./tasks", "TestSharedSettings",
	},
	{
		"shared settings", "QUOTA_GUARD is none of them",
		in("tasks/worker.go", "		\"QUOTA_GUARD\":      s.settings.Guard.String(),\n", ""),
		"./tasks", "TestSharedSettings",
	},
	{
		"a draining worker is a member", "its membership ends when it is told to stop",
		in("tasks/worker.go", "w.member.Keep(membership, nil)", "w.member.Keep(soft, nil)"),
		"./tasks", "TestDrainingWorkerStaysAMember",
	},
	{
		"a draining worker is a member", "it leaves with requests in flight",
		in("tasks/worker.go", "if n := w.runner.active.Load(); n > 0 {", "if n := w.runner.active.Load(); n > 1<<30 {"),
		"./tasks", "TestWorkerWithARunThatDoesNotEndDoesNotLeave",
	},
}
