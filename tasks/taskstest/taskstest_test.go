package taskstest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/wolkvoxtest"
	"habilita/tasks"
	"habilita/tasks/taskstest"
)

const keys = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// A program's test: calls, a worker, a vendor that fails once, and the vendor's account.
func TestAWorkerAgainstTheVendor(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	vendor := taskstest.Start(t, taskstest.Options{
		Tokens: map[tasks.Token]taskstest.Token{"tok-bad": {Bad: true}},
		Fault: func(r taskstest.Request) taskstest.Fault {
			if r.Attempt == 1 {
				return taskstest.ServerError
			}
			return taskstest.None
		},
	})
	c, err := tasks.Open(t.Context(), rdb, tasks.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	w, err := tasks.NewWorker(t.Context(), rdb, tasks.WorkerOptions{
		Options: tasks.Options{Keys: keys}, WolkvoxURL: vendor.URL, RetryMin: time.Millisecond, RetryMax: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()

	vendor.Hold()
	var chain []string
	for _, call := range []tasks.Call{
		{Server: "1", Token: "tok-good", ID: "first", Batch: "b"}, {Server: "1", Token: "tok-good", ID: "second", Batch: "b"},
		{Server: "1", Token: "tok-bad", ID: "bad", Batch: "b"},
	} {
		r, err := c.Enqueue(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		if call.Token == "tok-good" {
			chain = append(chain, r.ID)
		}
	}
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := vendor.WaitArrived(within, 2); err != nil {
		t.Fatal(err)
	}
	vendor.Release()
	status, err := c.Wait(within, "b")
	if err != nil || status.Succeeded != 2 || status.Failed != 1 || status.HeldChains != 1 {
		t.Fatalf("%+v, %v", status, err)
	}
	a := vendor.Account(chain)
	if a.Successes != 2 || a.MaxInFlight != 1 || len(a.Broken) > 0 || len(a.Requests) != 5 {
		t.Errorf("%+v", a)
	}
}

func TestFaultsAreTheSimulators(t *testing.T) {
	for _, f := range []taskstest.Fault{
		taskstest.ServerError, taskstest.Unavailable, taskstest.TooMany, taskstest.TokenLimit, taskstest.Simultaneous, taskstest.BadToken,
		taskstest.Maintenance, taskstest.Garbage, taskstest.Cut, taskstest.ResetBefore, taskstest.ResetAfter, taskstest.Slow, "slow:2s",
	} {
		if _, err := wolkvoxtest.ParseFault(string(f)); err != nil {
			t.Error(err)
		}
	}
}

func TestVendorOfAProgram(t *testing.T) {
	v, err := taskstest.Listen(taskstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v.Down()
	if err := v.Up(); err != nil {
		t.Fatal(err)
	}
	v.Close()
	if a := v.Account(); len(a.Requests) > 0 || len(a.Broken) > 0 {
		t.Errorf("%+v", a)
	}
}

// A fault that does not exist is a mistake of the test, which finds it in the call's error.
func TestUnknownFault(t *testing.T) {
	v := taskstest.Start(t, taskstest.Options{Fault: func(taskstest.Request) taskstest.Fault { return "no such fault" }})
	url := strings.Replace(v.URL, "{server}", "0001", 1) + "/api/v2/configuration.php?api=enable_module"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("wolkvox-token", "tok")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusInternalServerError || !strings.Contains(string(body), "no such fault") {
		t.Errorf("%s %s %v", resp.Status, body, err)
	}
}
