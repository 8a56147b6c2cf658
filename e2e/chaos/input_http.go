package main

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"habilita/internal/web/api/apitest"
	"habilita/internal/web/guard"
)

// mutatedRequests sends mutated requests to a worker's HTTP API, four at a time. Each gets an
// answer, but never a server error or a secret. The worker stays ready.
func mutatedRequests(u *unit, n int) {
	w := newWorld(u, nil)
	setting, err := guard.GenerateKey("lab", false)
	if err != nil {
		u.Fatal(err)
	}
	key := strings.SplitN(setting, ":", 3)[2]
	file := w.l.File("api.keys", setting)
	w.l.Set("HABILITA_API_KEYS_FILE", file)
	worker := w.l.Workers(1)[0]
	addr := worker.Addr()

	var mu sync.Mutex
	statuses := map[int]int{}
	var all sync.WaitGroup
	for i := range 4 {
		r := rand.New(rand.NewPCG(u.rand.Uint64(), u.rand.Uint64()))
		all.Go(func() {
			for j := range n / 4 {
				request := apitest.Request(r, 4*j+i, key)
				o := apitest.Send(addr, request, time.Minute, key)
				mu.Lock()
				statuses[o.Status/100]++
				if o.Fault != "" {
					w.violation("I6", "%s: %q", o.Fault, request)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if status, body := worker.Get("/readyz"); status != 200 || worker.Ended() {
		w.violation("I6", "the worker is not ready afterwards: %d %s", status, body)
	}
	if statuses[2] < n/50 || statuses[4] < n/4 {
		u.Fatalf("these requests try little: %v", statuses)
	}
	// Each answer was checked above; logs, key names and files must have no secret either.
	for _, secret := range []string{apitest.Token, key} {
		for _, leak := range w.l.Leaks(secret, filepath.Clean(file)) {
			w.violation("I7", "%s", leak)
		}
	}
	u.sum.note("HTTP API: %d requests: %d done, %d sent elsewhere, %d refused, %d of what is no HTTP/1.1, %d not answered",
		n, statuses[2], statuses[3], statuses[4], statuses[5], statuses[0])
}
