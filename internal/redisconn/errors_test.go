package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

func TestDescribe(t *testing.T) {
	m := redistest.Mini(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer c.Close()
	answer := func(text string) error {
		if err := c.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err) // the connection is made before the error is set
		}
		m.SetError(text)
		defer m.SetError("")
		return fmt.Errorf("read the ledger: %w", c.Get(t.Context(), "k").Err())
	}
	tests := []struct {
		err  error
		want string
	}{
		{nil, ""},
		{answer("NOAUTH Authentication required."), "wants a password"},
		{answer("WRONGPASS invalid username-password pair or user is disabled."), "refuses the user or password"},
		{answer("NOPERM this user has no permissions to run the 'get' command"), "does not permit this user"},
		{answer("EXECABORT Transaction discarded because of previous errors."), "may be full"},
		{answer("EXECABORT Transaction discarded because of: NOPERM this user has no permissions"), "does not permit this user"},
		{answer("OOM command not allowed when used memory > 'maxmemory'."), "is full"},
		{answer("ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed when used memory > 'maxmemory'."), "is full"},
		{answer("MISCONF Redis is configured to save RDB snapshots"), "can't write to its disk"},
		{answer("MOVED 866 127.0.0.1:7000"), "redis-cluster://"},
		{answer("CROSSSLOT Keys in request don't hash to the same slot"), "fault of habilita"},
		{answer("ERR max number of clients reached"), "maxclients"},
		{answer("ERR unknown command `sentinel`, with args beginning with: "), "is no Sentinel"},
		{answer("ERR unknown command 'evalsha', with args beginning with: "), "lacks a command"},
		{answer("ERR something else"), "Redis answered: ERR something else"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "nothing listens"},
		{fmt.Errorf("a bucket: %w", &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 6379},
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), "REDIS_URL (10.0.0.7:6379)"},
		{&net.DNSError{Name: "h", IsNotFound: true}, "has no address"},
		{&net.DNSError{Name: "h", IsTimeout: true}, "can't be looked up"},
		{os.ErrDeadlineExceeded, "does not answer in time"},
		{context.DeadlineExceeded, "does not answer in time"},
		{context.Canceled, "given up"},
		{redis.ErrPoolTimeout, "all connections"},
		{io.EOF, "closed the connection"},
		{syscall.EHOSTUNREACH, "no route"},
		{&net.OpError{Op: "dial", Err: syscall.ENOENT}, "socket of REDIS_URL does not exist"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "does not speak TLS"},
		{x509.UnknownAuthorityError{}, "authority that this machine does not know"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "expired"},
		{errors.New("redis: all sentinels specified in configuration are unreachable: x"), "no Sentinel"},
		{errors.New("plain"), "plain"},
	}
	for _, tt := range tests {
		if got := Describe(tt.err); !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("Describe(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

// The forms in which Redis 6.2 and 7 say that they are full, and refusals that look like them.
func TestFull(t *testing.T) {
	for text, want := range map[string]bool{
		"OOM command not allowed when used memory > 'maxmemory'.":                                                                    true,
		"OOM command not allowed when used memory > 'maxmemory'. script: 4d3a, on @user_script:1.":                                   true,
		"ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed when used memory > 'maxmemory'.":           true,
		"EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.":                        true,
		"EXECABORT Transaction discarded because of previous errors.":                                                                false,
		"EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the 'set' command":                   false,
		"NOPERM this user has no permissions to access one of the keys used as arguments":                                            false,
		"ERR Error running script (call to f_1): @user_script:1: The user executing the script can't run this command or subcommand": false,
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.":                           false,
	} {
		if got := Full(fmt.Errorf("append: %w", refusal(text))); got != want {
			t.Errorf("%v: %s", got, text)
		}
	}
	if Full(nil) || Full(errors.New("OOM command not allowed")) {
		t.Error("what is no answer of Redis is taken for one")
	}
}

// The words by which pages find their texts.
func TestWord(t *testing.T) {
	for want, all := range map[string][]error{
		"access":  {refusal("NOAUTH Authentication required."), refusal("WRONGPASS x"), refusal("NOPERM x")},
		"busy":    {refusal("BUSY Redis is busy running a script.")},
		"closed":  {io.EOF, syscall.ECONNRESET, syscall.EPIPE},
		"cluster": {refusal("CLUSTERDOWN x")}, "disk": {refusal("MISCONF x")}, "full": {refusal("OOM command not allowed")},
		"loading": {refusal("LOADING x")}, "refused": {syscall.ECONNREFUSED},
		"replica": {refusal("READONLY x"), refusal("MASTERDOWN x")}, "replicas": {refusal("NOREPLICAS x")},
		"slow": {context.DeadlineExceeded, os.ErrDeadlineExceeded},
		"":     {nil, errors.New("plain"), refusal("ERR x")},
	} {
		for _, err := range all {
			if got := Word(err); got != want {
				t.Errorf("%v: %q, want %q", err, got, want)
			}
		}
	}
}

func TestDescribeOfARealServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
	ask := func(url string, f func(redis.UniversalClient) error) string {
		t.Helper()
		c, err := Open(url, Options{MaxRetries: -1, DialTimeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return Describe(f(c))
	}
	ping := func(c redis.UniversalClient) error { return c.Ping(t.Context()).Err() }
	set := func(c redis.UniversalClient) error {
		return c.Set(t.Context(), "k", strings.Repeat("v", 1<<20), 0).Err()
	}
	if got := ask(s.URL, func(c redis.UniversalClient) error { _ = set(c); return set(c) }); !strings.Contains(got, "is full") {
		t.Error(got)
	}
	if got := ask("rediss://"+s.Addr, ping); !strings.Contains(got, "TLS") {
		t.Error(got)
	}
	if got := ask("redis-cluster://"+s.Addr, ping); !strings.Contains(got, "write redis:// instead") {
		t.Error(got)
	}
	if got := ask("redis-sentinel://"+s.Addr+"/m", ping); !strings.Contains(got, "is no Sentinel") {
		t.Error(got)
	}
	if got := ask("redis-sentinel://"+s.Addr+","+s.Addr+"/m", ping); !strings.Contains(got, "is no Sentinel") {
		t.Error(got)
	}
	if got := ask(s.URL+"?db=99", ping); !strings.Contains(got, "no such database") {
		t.Error(got)
	}
	host, port, _ := net.SplitHostPort(redistest.Start(t).Addr)
	if err := s.Client().Do(t.Context(), "replicaof", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	if got := ask(s.URL, set); !strings.Contains(got, "is a replica") {
		t.Error(got)
	}
	if err := s.Client().ConfigSet(t.Context(), "maxclients", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if got := ask(s.URL, ping); !strings.Contains(got, "maxclients") { // Redis answers and closes: which of the two is seen is a race
		t.Error(got)
	}
	s.Kill()
	if got := ask(s.URL, ping); !strings.Contains(got, "nothing listens") {
		t.Error(got)
	}
}

func summary(found []Finding) string {
	var b strings.Builder
	for _, f := range found {
		what, _, _ := strings.Cut(f.What, ":")
		fmt.Fprintf(&b, "%s %s\n", f.Level, what)
	}
	return b.String()
}

func TestPreflightOfARealServer(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"good", nil, ""},
		{"eviction", []string{"--maxmemory-policy", "allkeys-lru"}, "refuse maxmemory-policy is allkeys-lru\n"},
		{"no append-only file", []string{"--appendonly", "no"}, "warn appendonly is off\n"},
		{"no fsync", []string{"--appendfsync", "no"}, "warn appendfsync is no\n"},
		{"full", []string{"--maxmemory", "1"}, "warn Redis is full\n"},
		{"not full", []string{"--maxmemory", "1gb"}, ""},
		{"replica", []string{"--appendonly", "no", "--replicaof", "127.0.0.1 1"}, "refuse this Redis is a replica and takes no writes\nwarn appendonly is off\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Preflight(t.Context(), redistest.Start(t, tt.args...).Client(), Worker)
			if err != nil || summary(got) != tt.want {
				t.Errorf("%v, got\n%swant\n%s", err, summary(got), tt.want)
			}
		})
	}
}

func TestPreflightOfAClustersNode(t *testing.T) {
	t.Parallel()
	_, nodes := redistest.StartCluster(t, 1)
	got, err := Preflight(t.Context(), nodes[0].Client(), Worker)
	if err != nil || summary(got) != "refuse this Redis is a node of a cluster\n" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPreflightOfOthers(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer c.Close()
	if got, err := Preflight(t.Context(), c, 0); err != nil || len(got) != 0 {
		t.Errorf("miniredis: %v, %v", got, err)
	}
	m.Close()
	if _, err := Preflight(t.Context(), c, 0); err == nil {
		t.Error("no error without a Redis")
	}
	_, s := redistest.StartSentinel(t, redistest.Start(t))
	if got, err := Preflight(t.Context(), s.Client(), Worker); err != nil || summary(got) != "refuse this is a Sentinel, which holds no data\n" {
		t.Errorf("a Sentinel: %v, %v", got, err)
	}
}

func TestFindings(t *testing.T) {
	for v, want := range map[string]bool{"": false, "x.y": false, "6.2.0": false, "7.0.15": false, "10.0": false,
		"6.0.16": true, "5.0.7": true, "2.8.24": true, "6.2": false} {
		if tooOld(v) != want {
			t.Errorf("tooOld(%q) = %v", v, !want)
		}
	}
	found := findingsOf(map[string]string{"redis_version": "7.2.4", "server_name": "valkey", "server_mode": "sentinel"}, false)
	if summary(found) != "refuse this is a Sentinel, which holds no data\n" {
		t.Errorf("Valkey's Sentinel: %q", summary(found))
	}
	found = findingsOf(map[string]string{"redis_version": "6.0.16"}, false)
	if summary(found) != "refuse Redis is version 6.0.16, and 6.2 is needed\n" {
		t.Errorf("got %q", summary(found))
	}
}

// A Redis is full by its own count, which leaves out the buffers of its replicas and of its append-only file.
func TestFullByItsOwnCount(t *testing.T) {
	for used, want := range map[string]int{"": 0, "1099": 0, "1100": 1, "2000": 1} {
		if got := full(map[string]string{"maxmemory": "1000", "used_memory": used, "mem_not_counted_for_evict": "100"}); len(got) != want {
			t.Errorf("used_memory %q: %v", used, got)
		}
	}
}

// refusal is an answer of Redis.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}
