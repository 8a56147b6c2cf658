package wolkvox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"habilita/internal/wolkvox"
)

// One attempt, and what its end means for the slot that it holds.
func ExampleClient_Do() {
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("wolkvox-token") == "good" {
			io.WriteString(w, `{"code": 202, "error": null, "msg": "The sales module has been successfully enabled"}`)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"code": "403", "error": "FORBIDDEN", "msg": "PLEASE VALIDATE TOKEN"}`)
	}))
	defer vendor.Close()

	client, err := wolkvox.New(wolkvox.Config{URL: vendor.URL, Timeout: time.Minute, AckTimeout: 5 * time.Second}) // without URL: the vendor
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdle()
	server, err := wolkvox.ParseServer("wv42")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, token := range []string{"good", "bad"} {
		answer, err := client.Do(context.Background(), wolkvox.EnableModule, &wolkvox.Request{
			Server:  server,
			Token:   token,
			ID:      "order-7.1",
			WriteBy: time.Now().Add(5 * time.Second),
		})
		var notSent *wolkvox.NotSentError
		var unknown *wolkvox.UnknownOutcomeError
		switch {
		case err == nil:
			fmt.Println("done:", answer.Msg)
		case errors.As(err, &notSent):
			fmt.Println("give the slot and the quota back:", err)
		case errors.As(err, &unknown):
			fmt.Println("keep the slot until its lease ends:", err)
		default:
			fmt.Println("free the slot:", err)
		}
	}
	// Output:
	// done: The sales module has been successfully enabled
	// free the slot: wolkvox: refused (bad_token): HTTP 403, code 403: PLEASE VALIDATE TOKEN: FORBIDDEN
}
