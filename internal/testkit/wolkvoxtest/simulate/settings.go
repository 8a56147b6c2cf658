package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
	_ "time/tzdata" // so that --timezone works on any machine

	"habilita/internal/testkit/wolkvoxtest"
)

type settings struct {
	listen, account string
	cert            *tls.Certificate // nil: plain http
	latency, jitter time.Duration
	faultRate       float64
	faults          []wolkvoxtest.Fault
	seed            uint64
	licenses        int
	badToken        string
	slowServer      string // its requests take slowFor longer; "": none
	slowFor         time.Duration
	downFor         time.Duration
	downFault       *wolkvoxtest.Fault // nil: not even a connection
	location        *time.Location
	countersOnly    bool
}

// refused is the --down-fault that is not a fault of an answer: nobody listens.
const refused = "refused"

// parse reads the arguments; its error names everything that is wrong with them.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	var faults, down, zone, certFile, keyFile string
	fs := flag.NewFlagSet("simulate", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.listen, "listen", "127.0.0.1:0", "loopback address, or any with --tls-cert; port 0 takes a free one")
	fs.StringVar(&certFile, "tls-cert", "", "serve https with the certificate of this PEM `file`")
	fs.StringVar(&keyFile, "tls-key", "", "PEM `file` with the certificate's key")
	fs.StringVar(&s.account, "account", "", "write the account to this `file`, as JSON Lines; what it held is lost")
	fs.DurationVar(&s.latency, "latency", 20*time.Millisecond, "how long the vendor works on a request")
	fs.DurationVar(&s.jitter, "jitter", 0, "added to the latency, evenly from 0 to this")
	fs.Float64Var(&s.faultRate, "fault-rate", 0, "share of requests that go wrong, 0 to 1")
	fs.StringVar(&faults, "faults", join(wolkvoxtest.Passing()), "which ways they go wrong, each NAME or NAME:DELAY; all there are: "+join(wolkvoxtest.Kinds()))
	fs.Uint64Var(&s.seed, "seed", 0, "of faults, jitter and code styles")
	fs.IntVar(&s.licenses, "licenses", 1, "of each token")
	fs.StringVar(&s.badToken, "bad-token", "", "refuse tokens with this `prefix`; none if empty")
	fs.StringVar(&s.slowServer, "slow-server", "", "the requests at this `server` take --slow-for longer; none if empty")
	fs.DurationVar(&s.slowFor, "slow-for", 30*time.Second, "how much longer they take")
	fs.DurationVar(&s.downFor, "down-for", 0, "be down for so long from the start")
	fs.StringVar(&down, "down-fault", refused, "what being down is: refused (nobody listens), or a fault's name")
	fs.StringVar(&zone, "timezone", "America/Bogota", "where the day begins")
	fs.BoolVar(&s.countersOnly, "counters-only", false, "keep no requests in memory; the account file has them all the same")
	if err := fs.Parse(args); err != nil {
		return s, err
	}

	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if fs.NArg() > 0 {
		bad("unexpected argument %q", fs.Arg(0))
	}
	if certFile != "" || keyFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			bad("--tls-cert, --tls-key: %w", err)
		}
		s.cert = &cert
	}
	for _, name := range strings.Split(faults, ",") {
		f, err := wolkvoxtest.ParseFault(name)
		if err != nil {
			bad("--faults: %w", err)
		}
		s.faults = append(s.faults, f)
	}
	if down != refused {
		f, err := wolkvoxtest.ParseFault(down)
		if err != nil {
			bad("--down-fault: %w, or %s", err, refused)
		}
		s.downFault = &f
	}
	var err error
	if s.location, err = time.LoadLocation(zone); err != nil {
		bad("--timezone: %w", err)
	}
	if !(s.faultRate >= 0 && s.faultRate <= 1) {
		bad("--fault-rate %v: want 0 to 1", s.faultRate)
	}
	if s.latency < 0 || s.jitter < 0 || s.downFor < 0 || s.slowFor < 0 {
		bad("--latency, --jitter, --slow-for and --down-for: want no negative time")
	}
	if s.licenses < 1 {
		bad("--licenses %d: want 1 or more", s.licenses)
	}
	return s, errors.Join(errs...)
}

func (s settings) options() wolkvoxtest.Options {
	return wolkvoxtest.Options{
		TokenInfo: func(token string) (wolkvoxtest.Token, bool) {
			bad := s.badToken != "" && strings.HasPrefix(token, s.badToken)
			return wolkvoxtest.Token{Licenses: s.licenses}, !bad
		},
		Latency: s.latency, Jitter: s.jitter, Seed: s.seed,
		Script: wolkvoxtest.First(s.slow, wolkvoxtest.Random(s.seed, s.faultRate, s.faults...)),
		Code:   wolkvoxtest.CodeMixed, Location: s.location, CountersOnly: s.countersOnly,
	}
}

// slow makes the requests at one server take longer.
func (s settings) slow(r wolkvoxtest.Record) wolkvoxtest.Fault {
	if s.slowServer == "" || r.Server != s.slowServer {
		return wolkvoxtest.Fault{}
	}
	return wolkvoxtest.Fault{Kind: wolkvoxtest.Slow, Delay: s.slowFor}
}

func join(kinds []wolkvoxtest.Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ",")
}
