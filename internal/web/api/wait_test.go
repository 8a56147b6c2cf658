package api_test

import (
	"net/http/httptest"
	"testing"
	"time"
)

func TestWaitIsADuration(t *testing.T) {
	w := newWorld(t)
	var c receipt
	w.postJSON("/v1/calls", body("")).want(t, 202, &c)
	w.postCSV("/v1/batches?batch=b", rows(1)).want(t, 202, nil)
	for _, path := range []string{c.Call + "&", "/v1/batches/b?"} {
		for _, wait := range []string{"", "30", "-1s", "61s", "soon", "1h"} {
			w.get(path+"wait="+wait).want(t, 400, nil).says(t, "wait: want a duration")
		}
		w.get(path+"wait=0s").want(t, 200, nil)
	}
	w.get("/v1/batches/none?wait=30s").want(t, 404, nil)
	w.get("/v1/batches?wait=30s").want(t, 400, nil)
}

func TestWaitForACall(t *testing.T) {
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=b", "server,token,id\n1,"+theToken+",a\n1,"+theToken+",b\n1,"+theToken+",c\n").want(t, 202, nil)
	answered := make(chan reply, 1)
	go func() { answered <- w.get("/v1/calls/a?wait=60s") }()
	w.attempt(theToken, done)
	var got call
	if (<-answered).want(t, 200, &got); got.State != "succeeded" {
		t.Errorf("%+v", got)
	}
	w.attempt(theToken, giveUp)
	if w.get("/v1/calls/b?wait=60s").want(t, 200, &got); got.State != "failed" {
		t.Errorf("%+v", got)
	}
	// A call behind a held one waits for a person, and the API does not wait for that.
	if w.get("/v1/calls/c?wait=60s").want(t, 200, &got); got.State != "queued" {
		t.Errorf("%+v", got)
	}
}

func TestWaitForABatch(t *testing.T) {
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=b", "server,token\n1,"+theToken+"\n").want(t, 202, nil)
	var s status
	began := time.Now()
	if w.get("/v1/batches/b?wait=200ms").want(t, 200, &s); s.Settled || time.Since(began) < 200*time.Millisecond {
		t.Errorf("%+v after %v", s, time.Since(began))
	}
	answered := make(chan reply, 1)
	go func() { answered <- w.get("/v1/batches/b?wait=60s") }()
	w.attempt(theToken, done)
	if (<-answered).want(t, 200, &s); !s.Settled || s.Succeeded != 1 || s.OnFailure != "hold" {
		t.Errorf("%+v", s)
	}
}

// The server's own time-outs are shorter than a wait, and don't cut it off.
func TestWaitOutlivesTheServersTimeouts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=b", rows(1)).want(t, 202, nil)
	s := httptest.NewUnstartedServer(w.api)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 2*time.Second, 2*time.Second
	s.Start()
	defer s.Close()
	w.url = s.URL
	w.get("/v1/batches/b?wait=3s").want(t, 200, nil)
}
