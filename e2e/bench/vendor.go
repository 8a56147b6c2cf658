package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
)

// vendorCommand makes this program the vendor of a measurement.
const vendorCommand = "vendor"

// seen is what the vendor saw, for the process that measures.
type seen struct {
	Requests int
	Answered int
	First    time.Time // arrival
	Last     time.Time // end
	Most     int       // in flight at the same time
	// Broken are requests above the slots or the quota of a token.
	Broken int
	// Arrived and Ended have the times of each request, if they are kept.
	Arrived, Ended []time.Time
	Marked         map[string]time.Time // arrivals at servers from 1000 up, by the server
}

// vendor is the simulator and the times of its requests.
type vendor struct {
	sim  *wolkvoxtest.Simulator
	keep bool

	mu   sync.Mutex
	now  int // requests in flight
	news chan struct{}
	seen seen
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n, ok := strings.CutPrefix(r.URL.Path, "/seen/"); ok {
		v.tell(w, r, n)
		return
	}
	v.mu.Lock()
	n := v.seen.Requests
	v.seen.Requests++
	v.now++
	v.seen.Most = max(v.seen.Most, v.now)
	now := time.Now()
	if n == 0 {
		v.seen.First = now
	}
	if v.keep {
		v.seen.Arrived = append(v.seen.Arrived, now)
		v.seen.Ended = append(v.seen.Ended, time.Time{})
		if m := marked.FindStringSubmatch(r.URL.Path); m != nil {
			v.seen.Marked[m[1]] = now
		}
		close(v.news)
		v.news = make(chan struct{})
	}
	v.mu.Unlock()
	v.sim.ServeHTTP(w, r)
	v.mu.Lock()
	v.now--
	v.seen.Answered++
	v.seen.Last = time.Now()
	if v.keep {
		v.seen.Ended[n] = v.seen.Last
	}
	v.mu.Unlock()
}

// tell answers with what was seen. If times are kept, it waits until there are n requests.
func (v *vendor) tell(w http.ResponseWriter, r *http.Request, n string) {
	want, _ := strconv.Atoi(n)
	v.mu.Lock()
	for v.keep && v.seen.Requests < want && r.Context().Err() == nil {
		news := v.news
		v.mu.Unlock()
		select {
		case <-news:
		case <-r.Context().Done():
		}
		v.mu.Lock()
	}
	defer v.mu.Unlock()
	// Account would copy what it has about every token while requests wait, and a measurement asks many times.
	_ = v.sim.Wait(r.Context(), func(a wolkvoxtest.Account) bool {
		v.seen.Broken = a.Totals.OverSlots + a.Totals.OverQuota
		return true
	})
	_ = json.NewEncoder(w).Encode(v.seen)
}

var marked = regexp.MustCompile(`^/wv([1-9]\d{3})/`)

// runVendor serves until ctx ends and prints its URL.
func runVendor(ctx context.Context, args []string, out, errw io.Writer) int {
	fs := flag.NewFlagSet(vendorCommand, flag.ContinueOnError)
	fs.SetOutput(errw)
	latency := fs.Duration("latency", 0, "how long the vendor works on a request")
	varied := fs.Bool("varied", false, "works on a request as long as lognormal says (see workingTime), on top of -latency")
	keep := fs.Bool("keep", false, "keep the times of every request")
	bad := fs.String("bad", "", "refuse tokens with this prefix")
	spent := fs.String("spent", "", "the quota of tokens with this prefix is used")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	starts := func(token, prefix string) bool { return prefix != "" && strings.HasPrefix(token, prefix) }
	var script wolkvoxtest.Script
	if *varied {
		script = func(r wolkvoxtest.Record) wolkvoxtest.Fault {
			return wolkvoxtest.Fault{Delay: workingTime(r.Token, r.TokenNth)}
		}
	}
	v := &vendor{keep: *keep, news: make(chan struct{}), seen: seen{Marked: map[string]time.Time{}}, sim: wolkvoxtest.New(wolkvoxtest.Options{
		Latency: *latency, CountersOnly: true, Script: script,
		TokenInfo: func(token string) (wolkvoxtest.Token, bool) {
			t := wolkvoxtest.Token{Licenses: 10}
			if starts(token, *spent) {
				t.Used = 10 * wolkvoxtest.RequestsPerLicense
			}
			return t, !starts(token, *bad)
		},
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_, _ = fmt.Fprintln(errw, "bench vendor:", err)
		return 1
	}
	_, _ = fmt.Fprintf(out, "http://%s/wv{server}\n", ln.Addr())
	srv := &http.Server{Handler: v, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		_, _ = fmt.Fprintln(errw, "bench vendor:", err)
		return 1
	}
	return 0
}
