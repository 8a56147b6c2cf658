// Package tasks makes wolkvox configuration calls: in order for each token, inside the
// vendor's limits, and without losing one.
//
//	c, err := tasks.Open(ctx, rdb, tasks.Options{Keys: os.Getenv("HABILITA_KEYS")})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	receipt, err := c.Enqueue(ctx, tasks.Call{Server: "0042", Token: token, Licenses: 5}) // one call
//	summary, err := c.EnqueueBatch(ctx, "onboarding-2026-11", calls)                      // many: iter.Seq2[tasks.Call, error]
//	status, err := c.Wait(ctx, "onboarding-2026-11")                                      // until nothing more happens by itself
//	for result, err := range c.Results(ctx, "onboarding-2026-11") {
//		fmt.Println(result.ID, result.State, result.Reason, err)
//	}
//
// A Client enqueues calls, reads what became of them, and retries, skips or cancels them. A
// Worker, or the command worker, makes the calls. Both need only Redis. A call that Enqueue or
// EnqueueBatch acknowledged is made until it succeeds, is given up, or is cancelled by a person.
// It is hardly ever made twice.
//
// A program decides by the exported errors: match them with errors.As and errors.Is. No error
// contains a token. Package quota shares a token's limits with the program's other requests.
// Package taskstest has a simulated wolkvox for tests.
package tasks
