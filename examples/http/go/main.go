// Enqueue a call over HTTP, and wait for its result.
//
//	HABILITA_URL=http://127.0.0.1:8080 HABILITA_API_KEY=... WOLKVOX_TOKEN=... go run ./examples/http/go 0042 order-1001
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: SERVER ORDER")
	}
	body, err := json.Marshal(map[string]any{"server": os.Args[1], "token": os.Getenv("WOLKVOX_TOKEN"), "licenses": 5})
	if err != nil {
		fail(err)
	}
	var receipt struct{ ID, Call string }
	// The same key makes it the same call: sending it again is harmless.
	for try := 1; ; try++ {
		err = ask("POST", "/v1/calls", body, map[string]string{"Content-Type": "application/json", "Idempotency-Key": os.Args[2]}, &receipt)
		if err == nil {
			break
		}
		if try == 5 {
			fail(err)
		}
		time.Sleep(time.Duration(try) * time.Second)
	}
	fmt.Println("enqueued", receipt.ID)
	for {
		var call struct{ State, Code, Msg, Error string }
		if err := ask("GET", receipt.Call, nil, nil, &call); err != nil {
			fail(err)
		}
		switch call.State {
		case "succeeded":
			fmt.Println(call.State, call.Code, call.Msg)
			return
		case "failed", "skipped", "cancelled":
			fail(call.State, call.Error)
		}
		time.Sleep(time.Second)
	}
}

// ask sends a request and reads the answer into v.
func ask(method, path string, body []byte, header map[string]string, v any) error {
	r, err := http.NewRequest(method, os.Getenv("HABILITA_URL")+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+os.Getenv("HABILITA_API_KEY"))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	client := http.Client{Timeout: 30 * time.Second}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		var problem struct{ Title, Detail string }
		_ = json.NewDecoder(res.Body).Decode(&problem)
		return fmt.Errorf("%s: %s: %s", res.Status, problem.Title, problem.Detail)
	}
	return json.NewDecoder(res.Body).Decode(v)
}

func fail(what ...any) {
	fmt.Fprintln(os.Stderr, what...)
	os.Exit(1)
}
