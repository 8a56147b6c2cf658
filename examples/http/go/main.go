// Enqueue a call over HTTP, and wait for its result.
//
//	HABILITA_URL=http://127.0.0.1:8080 HABILITA_API_KEY=... WOLKVOX_TOKEN=... go run ./examples/http/go 0042 order-1001
//
// It exits with 0 if the call succeeded, otherwise with 1. HABILITA_WAIT is how many seconds it waits; 600 if not set.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: SERVER ORDER")
	}
	seconds, err := strconv.Atoi(cmp.Or(os.Getenv("HABILITA_WAIT"), "600"))
	if err != nil {
		fail("HABILITA_WAIT:", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]any{"server": os.Args[1], "token": os.Getenv("WOLKVOX_TOKEN"), "licenses": 5})
	if err != nil {
		fail(err)
	}
	var receipt struct{ ID, Call string }
	// With the same key it is the same call, so sending it again is harmless.
	header := map[string]string{"Content-Type": "application/json", "Idempotency-Key": os.Args[2]}
	if err := ask(ctx, "POST", "/v1/calls", body, header, &receipt); err != nil {
		fail("not enqueued, for all we know:", err)
	}
	fmt.Println("enqueued", receipt.ID)
	for {
		var call struct{ State, Code, Msg, Error string }
		if err := ask(ctx, "GET", receipt.Call, nil, nil, &call); err != nil {
			fail("enqueued, and the result is not known:", err)
		}
		switch call.State {
		case "succeeded":
			fmt.Println(call.State, call.Code, call.Msg)
			return
		case "failed", "skipped", "cancelled":
			fail(call.State, call.Error)
		}
		pause(ctx, time.Second)
	}
}

// refused is an answer that stays the same if one asks again.
type refused struct{ error }

// ask sends a request until it gets an answer, and reads the answer into v.
func ask(ctx context.Context, method, path string, body []byte, header map[string]string, v any) error {
	for delay := time.Second; ; delay = min(2*delay, 30*time.Second) {
		err := once(ctx, method, path, body, header, v)
		var no refused
		if err == nil || errors.As(err, &no) {
			return err
		}
		if pause(ctx, delay); ctx.Err() != nil {
			return fmt.Errorf("no time is left: %w", err)
		}
	}
}

func once(ctx context.Context, method, path string, body []byte, header map[string]string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, os.Getenv("HABILITA_URL")+path, bytes.NewReader(body))
	if err != nil {
		return refused{err}
	}
	r.Header.Set("Authorization", "Bearer "+os.Getenv("HABILITA_API_KEY"))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode < 300 {
		return json.NewDecoder(res.Body).Decode(v)
	}
	var problem struct{ Title, Detail string }
	_ = json.NewDecoder(res.Body).Decode(&problem)
	err = fmt.Errorf("%s: %s: %s", res.Status, problem.Title, problem.Detail)
	// Of the 4xx statuses only these may pass by themselves. A wrong key stays wrong.
	if res.StatusCode < 500 && res.StatusCode != http.StatusRequestTimeout && res.StatusCode != http.StatusTooManyRequests {
		return refused{err}
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func fail(what ...any) {
	fmt.Fprintln(os.Stderr, what...)
	os.Exit(1)
}
