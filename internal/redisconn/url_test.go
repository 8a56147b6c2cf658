package redisconn

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

func TestParse(t *testing.T) {
	tests := []struct{ url, want string }{
		{"redis://h", "0 false [h:6379] db0"},
		{" REDIS://h:1/2\n", "0 false [h:1] db2"},
		{"redis://u:p%40%2F@h:1/2?db=3", "0 false [h:1] db3 u u p p@/"},
		{"redis://:p@h", "0 false [h:6379] db0 u  p p"},
		{"rediss://[::1]:7/1", "0 true [[::1]:7] db1"},
		{"redis://[::1]", "0 false [[::1]:6379] db0"},
		{"redis://h?dial_timeout=3&read_timeout=1500ms&pool_size=9&client_name=x", "0 false [h:6379] db0"},
		{"unix:///run/redis.sock?db=2", "3 false [/run/redis.sock] db2"},
		{"unix://u:p@/run/redis.sock", "3 false [/run/redis.sock] db0 u u p p"},
		{"redis-sentinel://u:p@a,b:2/main/3?sentinel_password=s", "1 false [a:26379 b:2] db3 u u p p master main"},
		{"rediss-sentinel://a/main", "1 true [a:26379] db0 master main"},
		{"redis-cluster://a:1, b,c", "2 false [a:1 b:6379 c:6379] db0"},
		{"rediss-cluster://u:p@a:1/", "2 true [a:1] db0 u u p p"},
	}
	for _, tt := range tests {
		got, err := parse(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		s := fmt.Sprint(int(got.mode), " ", got.tls, " ", got.Addrs, " db", got.DB)
		if got.Username+got.Password != "" {
			s += " u " + got.Username + " p " + got.Password
		}
		if got.MasterName != "" {
			s += " master " + got.MasterName
		}
		if s != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.url, s, tt.want)
		}
	}
}

func TestParseFaults(t *testing.T) {
	const secret = "s3cr3t"
	tests := []struct{ url, want string }{
		{"", "no scheme"},
		{secret + "@h:6379", "no scheme"},
		{"http://u:s3cr3t@h", "unknown scheme"},
		{"redis://", "host 1 is empty"},
		{"redis://u:s3cr3t@", "host 1 is empty"},
		{"redis://u:s3cr3t/x@h", "not percent-encoded"},
		{"redis://u:s3cr3t#x@h", "not percent-encoded"},
		{"redis://u:1?s3cr3t@h", "%3F"},
		{"redis://u:s3cr3t%zz@h", "not percent-encoded"},
		{"redis://u:s3cr3t@x@h", "not percent-encoded"},
		{"redis://a,b", "several hosts"},
		{"redis://h:0", "port"},
		{"redis://h:s3cr3t", "port"},
		{"redis://::1", "[address]:port"},
		{"redis://h/s3cr3t", "database number"},
		{"redis://h/1/2", "too many parts"},
		{"redis://h/-1", "database number"},
		{"redis://h?db=s3cr3t", "parameter db"},
		{"redis://h?dial_timeout=s3cr3t", "parameter dial_timeout"},
		{"redis://h?pool_size=0", "parameter pool_size"},
		{"redis://h?colour=s3cr3t", `unknown parameter "colour"`},
		{"redis://h?db=%zz", "percent-encoded"},
		{"redis://h?skip_verify=true", "use rediss"},
		{"redis://h?sentinel_password=s3cr3t", "redis-sentinel"},
		{"redis://h#s3cr3t", "'#'"},
		{"unix://h/path", "absolute path"},
		{"unix://", "absolute path"},
		{"redis-sentinel://h", "master's name"},
		{"redis-sentinel://h/m/x", "database number"},
		{"redis-cluster://h/1", "database 0 alone"},
		{"redis-cluster://h,,k", "host 2 is empty"},
	}
	for _, tt := range tests {
		_, err := Open(tt.url, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.url, err, tt.want)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows a secret: %v", tt.url, err)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"redis://h:1/2": "redis://h:1/2",
		"redis://u:s3cr3t@h:1/2?db=1&pool_size=3":    "redis://u:***@h:1/2",
		"redis://:s3cr3t@h":                          "redis://:***@h",
		"redis://s3cr3t@h":                           "redis://***@h",
		"redis://u:s3@cr3t/?#x@h":                    "redis://u:***@h",
		"redis://u/s3cr3t:x@h":                       "redis://***@h",
		"redis-sentinel://h/m?sentinel_password=s&x": "redis-sentinel://h/m",
		"redis-cluster://u:p@a,b":                    "redis-cluster://u:***@a,b",
		"h:6379":                                     "***",
		"s3cr3t://h":                                 "***",
		"":                                           "***",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

// A password must not show, whether or not it was encoded, unless a sentence of
// ours or another part of the URL has the same text.
func FuzzPasswordsStayHidden(f *testing.F) {
	f.Add("redis", "1?", "h")
	f.Add("redis", "/@#?:x%", "h:1/2?db=x")
	f.Add("redis-sentinel", " p&w", "h/m?sentinel_password=x")
	f.Fuzz(func(t *testing.T, scheme, around, rest string) {
		if strings.ContainsAny(rest, "@") {
			return
		}
		const core = "S3CR3T"
		for _, password := range []string{core + around, around + core, url.QueryEscape(around) + core} {
			raw := scheme + "://user:" + password + "@" + rest
			shown := Redact(raw)
			if _, err := parse(raw); err != nil {
				shown += err.Error()
			}
			if strings.Contains(shown, core) && !strings.Contains(scheme+rest, core) {
				t.Fatalf("%q shows its password: %s", raw, shown)
			}
		}
	})
}

// What a worker takes for one Redis, for several nodes or for a cluster is what Open makes of the URL.
func TestURLTellsHowRedisIsRun(t *testing.T) {
	for _, prefix := range []string{"", " "} {
		for _, write := range []func(string) string{strings.ToLower, strings.ToUpper} {
			for scheme := range schemes {
				u := prefix + write(scheme) + "://" + map[mode]string{single: "h", cluster: "h", sentinel: "h/m", socket: "/s"}[schemes[scheme].mode]
				c, err := Open(u, Options{})
				if err != nil {
					t.Errorf("%q: %v", u, err)
					continue
				}
				defer c.Close()
				_, isCluster := c.(*redis.ClusterClient)
				one, _ := c.(*redis.Client)
				several := isCluster || one.Options().Addr == sentinelAddr
				if IsCluster(u) != isCluster || Several(u) != several {
					t.Errorf("%q: cluster %v, several %v; Open made a %T", u, IsCluster(u), Several(u), c)
				}
			}
		}
	}
}

func TestOpenAsksNothingOfTheNetwork(t *testing.T) {
	const addr = "127.0.0.1:1"
	for _, u := range []string{"redis://" + addr, "rediss://" + addr, "redis-cluster://" + addr,
		"redis-sentinel://" + addr + "/m", "unix:///none.sock"} {
		c, err := Open(u, Options{Watch: NewRestartWatch(nil)})
		if err != nil {
			t.Errorf("%s: %v", u, err)
			continue
		}
		_ = c.Close()
	}
}

func TestOpenOptions(t *testing.T) {
	open := func(u string) *redis.Options {
		c, err := Open(u, Options{PoolSize: 20, DialTimeout: time.Second, ReadTimeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c.(*redis.Client).Options()
	}
	o := open("redis://u:p@h/4")
	if o.Addr != "h:6379" || o.DB != 4 || o.Username != "u" || o.Password != "p" || o.PoolSize != 20 ||
		o.DialTimeout != time.Second || o.WriteTimeout != 2*time.Second || o.ClientName != "habilita" || o.TLSConfig != nil {
		t.Errorf("%+v", o)
	}
	o = open("rediss://h?pool_size=30&dial_timeout=7&client_name=x&skip_verify=1")
	if o.PoolSize != 30 || o.DialTimeout != 7*time.Second || o.ClientName != "x" || !o.TLSConfig.InsecureSkipVerify {
		t.Errorf("%+v", o)
	}
	if o = open("redis://h?pool_size=5"); o.PoolSize != 20 {
		t.Errorf("the URL lowered the pool to %d", o.PoolSize)
	}
}

func TestOpenReallyConnects(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "p@ss/word", "--unixsocket", "redis.sock")
	for _, base := range []string{"redis://:p%40ss%2Fword@" + s.Addr + "/3", "unix://:p%40ss%2Fword@" + s.Dir + "/redis.sock?db=3"} {
		c, err := Open(base, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Error(err)
		}
		_ = c.Close()
	}
	c, _ := Open("redis://:wrong@"+s.Addr, Options{})
	defer c.Close()
	if got := Describe(c.Ping(t.Context()).Err()); !strings.Contains(got, "refuses the user or password") {
		t.Error(got)
	}
}

func TestDetachHook(t *testing.T) {
	m := redistest.Mini(t)
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	for _, detach := range []bool{false, true} {
		c, err := Open("redis://"+m.Addr(), Options{Detach: detach})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, pipeErr := c.Pipelined(dead, func(p redis.Pipeliner) error { p.Incr(dead, "n"); return nil })
		_, txErr := c.TxPipelined(dead, func(p redis.Pipeliner) error { p.Incr(dead, "n"); return nil })
		for _, err := range []error{c.Incr(dead, "n").Err(), pipeErr, txErr} {
			if (err == nil) != detach {
				t.Errorf("detached %v: %v", detach, err)
			}
		}
	}
	if got, _ := m.Get("n"); got != "3" {
		t.Errorf("n = %s", got)
	}
}

func TestDetachedCommandsKeepTheirTimeouts(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c, err := Open(s.URL, Options{Detach: true, ReadTimeout: time.Second, MaxRetries: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	if got := Describe(c.Ping(t.Context()).Err()); !strings.Contains(got, "does not answer in time") {
		t.Error(got)
	}
}
