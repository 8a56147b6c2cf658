package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
)

// A cluster moves hash slots, key by key, while a producer enqueues and a worker makes calls. No
// script runs on half a bucket, so all keys of each bucket arrive, and each call is made once.
func TestClusterIsReshardedUnderLoad(t *testing.T) {
	url, nodes := redistest.StartCluster(t, 2)
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Latency: time.Millisecond})
	// Leases are long, so a call that is made twice can't be due to a lost outcome.
	key, err := vault.GenerateKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	o := engine.Options{Keys: key, Quota: quota.Settings{Guard: time.Millisecond}}
	in := StartInside(t, url, sim.URL, engine.WorkerOptions{Options: o, CallTimeout: 2 * Patience, VendorTimeout: 2 * Patience})
	// This client is patient, like that of the commands, since a slow machine moves slots slowly.
	rdb := clusterClient(t, url)
	redisconn.MakePatient(rdb)
	producer, err := engine.NewProducer(t.Context(), rdb, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })

	const tokens, each = 40, 50
	token := func(i int) string { return fmt.Sprintf("token-%d", i%tokens) }
	moving := make(chan struct{})
	type enqueued struct {
		sum engine.Summary
		err error
	}
	done := make(chan enqueued, 1)
	go func() {
		sum, err := producer.EnqueueBatch(t.Context(), "b", func(yield func(engine.Call, error) bool) {
			for i := range tokens * each {
				if i == tokens*each/4 {
					<-moving
				}
				if !yield(engine.Call{Server: "1", Token: engine.Token(token(i)), ID: fmt.Sprint("id-", i)}, nil) {
					return
				}
			}
		}, engine.BatchOptions{})
		done <- enqueued{sum, err}
	}()
	if err := sim.Wait(t.Context(), func(a wolkvoxtest.Account) bool { return a.Totals.Requests > 0 }); err != nil {
		t.Fatal(err)
	}
	close(moving)
	seen := map[string]bool{}
	for i := range tokens {
		key := "habilita:{" + ledger.Tag(in.Producer.TokenID(engine.Token(token(i)))) + "}:epoch"
		if seen[key] {
			continue
		}
		seen[key] = true
		// Move slots only one way: masters that give each other slots at once may disagree about them for ever.
		if slot, err := rdb.ClusterKeySlot(t.Context(), key).Result(); err != nil || slot >= 16384/2 {
			continue
		}
		m := redistest.OpenSlot(t, nodes, key)
		for m.Keys(1) > 0 {
		}
		m.Close()
	}
	got := <-done
	if got.err != nil || got.sum.Enqueued != tokens*each {
		t.Errorf("%+v, %v", got.sum, got.err)
	}
	if s := in.Settled(t, "b"); s.Succeeded != tokens*each || s.Open != 0 {
		t.Errorf("%+v", s)
	}
	a := sim.Account()
	if a.Totals.Requests != tokens*each || a.Totals.MaxInFlight > 2 {
		t.Errorf("%d requests, at most %d in flight", a.Totals.Requests, a.Totals.MaxInFlight)
	}
}

// If a reshard is cut off and leaves a hash slot open, only the calls of its bucket wait. They go on when
// the slot is closed.
func TestSlotIsLeftOpen(t *testing.T) {
	url, nodes := redistest.StartCluster(t, 2)
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Latency: time.Millisecond})
	in := StartInside(t, url, sim.URL, engine.WorkerOptions{CallTimeout: 2 * Patience, VendorTimeout: 2 * Patience})
	enqueue := func(token string) error {
		_, err := in.Producer.Enqueue(t.Context(), engine.Call{Server: "1", Token: engine.Token(token)})
		return err
	}
	made := 0
	await := func() {
		t.Helper()
		made++
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		defer cancel()
		if err := sim.Wait(ctx, func(a wolkvoxtest.Account) bool { return a.Totals.Requests == made }); err != nil {
			t.Fatal(err)
		}
	}
	if err := enqueue("token-0"); err != nil {
		t.Fatal(err)
	}
	await()
	tag := ledger.Tag(in.Producer.TokenID("token-0"))
	m := redistest.OpenSlot(t, nodes, "habilita:{"+tag+"}:epoch")
	m.Keys(1)
	if err := enqueue("token-0"); !redisconn.Passing(err, true) {
		t.Errorf("into an open slot: %v", err)
	}
	for i := 1; made < 20; i++ {
		token := fmt.Sprint("token-", i)
		if ledger.Tag(in.Producer.TokenID(engine.Token(token))) == tag {
			continue
		}
		if err := enqueue(token); err != nil {
			t.Fatal(err)
		}
		await()
	}
	m.Close()
	if err := enqueue("token-0"); err != nil {
		t.Fatal(err)
	}
	await()
}
