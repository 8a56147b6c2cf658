// Receive habilita's webhooks: check them, drop duplicates, and print each event as a line of JSON.
//
//	WEBHOOK_SECRET=whsec_... go run ./examples/webhooks/go 127.0.0.1:9000
//
// While a secret changes, give both in WEBHOOK_SECRET, comma separated.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	longestEvent = 1 << 20
	remembered   = 10_000 // ids
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: HOST:PORT")
	}
	r := &receiver{seen: map[string]bool{}}
	for secret := range strings.SplitSeq(os.Getenv("WEBHOOK_SECRET"), ",") {
		key, err := standardwebhooks.NewWebhook(strings.TrimSpace(secret))
		if err != nil || secret == "" {
			fail("WEBHOOK_SECRET: want whsec_ and base64")
		}
		r.keys = append(r.keys, key)
	}
	server := &http.Server{Addr: os.Args[1], Handler: r, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	fail(server.ListenAndServe())
}

func fail(why ...any) {
	fmt.Fprintln(os.Stderr, why...)
	os.Exit(1)
}

type receiver struct {
	keys []*standardwebhooks.Webhook

	mu   sync.Mutex
	seen map[string]bool // ids; a real receiver keeps them in its database, with what it did
	old  []string        // the same, the oldest first
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, longestEvent))
	if err != nil || !r.genuine(body, req.Header) {
		http.Error(w, "not signed with a secret that is known, or too old", http.StatusBadRequest)
		return
	}
	if r.first(req.Header.Get(standardwebhooks.HeaderWebhookID)) {
		fmt.Printf("%s\n", body) // a real receiver queues it, and works later
	}
	w.WriteHeader(http.StatusNoContent)
}

// genuine checks the signature, and that it is at most 5 minutes old.
func (r *receiver) genuine(body []byte, h http.Header) bool {
	for _, key := range r.keys {
		if key.Verify(body, h) == nil {
			return true
		}
	}
	return false
}

// first reports whether an id was not seen before.
func (r *receiver) first(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[id] {
		return false
	}
	r.seen[id] = true
	if r.old = append(r.old, id); len(r.old) > remembered {
		delete(r.seen, r.old[0])
		r.old = r.old[1:]
	}
	return true
}
