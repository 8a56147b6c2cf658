package config_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestValues(t *testing.T) {
	for _, c := range []struct {
		name, good, bad string // space separated
	}{
		{"REDIS_URL", "rediss://:p@h:1/2 unix:///run/redis.sock redis-sentinel://h:1,i:2/m redis-cluster://h:1,i:2", "h:6379 http://h"},
		{"WOLKVOX_URL", "https://wv{server}.wolkvox.com http://127.0.0.1:8080/wv{server} http://localhost http://[::1]:80/x",
			"wolkvox.com ftp://x http://wv{server}.wolkvox.com http://127.0.0.1.example.com https://u:p@h https:// http://10.0.0.1 https://wv{server}.example.com https://127.0.0.1:0"},
		{"HABILITA_API_KEYS", "ana:write:0123456789abcdefghij", "ana ana:admin:0123456789abcdefghij"},
		{"CALL_TIMEOUT", "1ms 60s 1m", "0 0s -1s 60 x 1us 1.5ms 13h 1d"},
		{"VENDOR_TIMEOUT", "1ms 60s 1m", "0s -1s 13h"},
		{"SLOT_MARGIN", "100ms 5s", "99ms 0s"},
		{"CONCURRENCY", "1 10000", "0 10001 -1 1.5 many"},
		{"QUEUES", "1 64", "0 65 -1 1.5 many"},
		{"WAIT_REPLICAS", "0 2", "-1 101 1.5 many"},
		{"SERVER_CONCURRENCY", "1 10000", "0 10001 -1 1.5 many"},
		{"TOKEN_SLOTS", "1 2", "0 3"},
		{"DEFAULT_LICENSES", "1 500", "0 -1"},
		{"QUOTA_TIMEZONE", "UTC America/Bogota Europe/Madrid", "Local Bogota America/Nowhere ../etc/passwd"},
		{"QUOTA_GUARD", "0s 3s 59m59s", "1h -1s x"},
		{"MAX_ATTEMPTS", "1 12", "0"},
		{"GIVE_UP_AFTER", "1s 720h", "0s 90000h"},
		{"RETENTION", "1m 720h", "59s"},
		{"RETRY_MIN", "1ms 15m", "0s 16m"},
		{"RETRY_MAX", "1s 1h", "0s 999ms"},
		{"LISTEN", "off :0 127.0.0.1:8080 [::1]:1 worker:65535", "on 8080 h:65536 h:http h:-1 h:+1 h:08 ::1"},
		{"SHUTDOWN_TIMEOUT", "60s 75s 1h", "59s 0s"},
		{"LOG_LEVEL", "trace debug info warn error", "INFO 1 loud"},
		{"LOG_FORMAT", "json console", "text JSON"},
	} {
		for _, v := range strings.Fields(c.good) {
			mustLoad(t, nil, c.name+"="+v)
		}
		for _, v := range strings.Fields(c.bad) {
			_, err := load(t, nil, c.name+"="+v, "HABILITA_KEYS="+someKey)
			if err == nil {
				t.Errorf("%s=%s was taken", c.name, v)
			} else if !strings.Contains(err.Error(), "want ") || strings.Count(err.Error(), "\n") != 1 {
				t.Errorf("%s=%s: %v", c.name, v, err)
			}
		}
	}
}

// An address that the Redis client would refuse is a fault like any other, and shows neither user nor password.
func TestRedisURL(t *testing.T) {
	for url, want := range map[string]string{
		"redis://h/abc":                      `"redis://h/abc": the Redis URL's path must be a database number`,
		"redis://h/0/1":                      `"redis://h/0/1": the Redis URL's path has too many parts`,
		"redis://h:65536":                    `"redis://h:65536": the Redis URL's host 1 has a port that is no number from 1 to 65535`,
		"redis://":                           `"redis://": the Redis URL's host 1 is empty`,
		"redis://h,i":                        `"redis://h,i": the Redis URL has several hosts; use redis-cluster:// or redis-sentinel://`,
		"redis-sentinel://h:1,i:2":           `"redis-sentinel://h:1,i:2": the Redis URL lacks the master's name: redis-sentinel://host:26379/mymaster`,
		"redis-cluster://h:1/2":              `"redis-cluster://h:1/2": the Redis URL names a database; a cluster has database 0 alone`,
		"redis://h?database=1":               `[redacted]: the Redis URL has an unknown parameter "database"`,
		"redis://h?pool_size=0":              `[redacted]: the Redis URL's parameter pool_size has a wrong value`,
		"redis://h?skip_verify=true":         `[redacted]: the Redis URL's skip_verify is for TLS; use rediss`,
		"redis://root:" + password:           `[redacted]: the Redis URL's host 1 has a port that is no number from 1 to 65535`,
		"redis://root:" + password + "@":     `[redacted]: the Redis URL's host 1 is empty`,
		"redis://root:" + password + "%@h/0": `[redacted]: the Redis URL's user or password has a '%' that is not percent-encoded (%25)`,
	} {
		_, err := load(t, nil, "REDIS_URL="+url, "HABILITA_KEYS="+someKey, "TOKEN_SLOTS=3")
		if got := fmt.Sprint(err); got != "2 settings are wrong:\n  REDIS_URL "+want+"\n  TOKEN_SLOTS \"3\": want a whole number from 1 to 2" {
			t.Errorf("%s: %s", url, got)
		}
	}
}

func TestFaultsBetweenSettings(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"CALL_TIMEOUT=80s", `SHUTDOWN_TIMEOUT "1m15s": want at least CALL_TIMEOUT, which is 1m20s: requests in flight would be cut, and made twice`},
		{"SLOT_MARGIN=12h", `SLOT_MARGIN "12h": makes a slot's lease 12h1m; want max(CALL_TIMEOUT, VENDOR_TIMEOUT) + SLOT_MARGIN of at most 12h`},
	} {
		_, err := load(t, nil, c.env, "HABILITA_KEYS="+someKey)
		if err == nil || err.Error() != "a setting is wrong:\n  "+c.want {
			t.Errorf("%s: %v", c.env, err)
		}
	}
}

func TestLongOrBrokenValueStaysOnItsLine(t *testing.T) {
	_, err := load(t, nil, "LOG_LEVEL=a\nb"+strings.Repeat("x", 500), "HABILITA_KEYS="+someKey)
	if err == nil || strings.Count(err.Error(), "\n") != 1 || len(err.Error()) > 250 {
		t.Errorf("got %v", err)
	}
}
