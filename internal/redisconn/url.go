package redisconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

type mode int

const (
	single mode = iota
	sentinel
	cluster
	socket
)

// schemes are the URL schemes: how Redis is run, and whether over TLS.
var schemes = map[string]struct {
	mode mode
	tls  bool
}{
	"redis": {single, false}, "rediss": {single, true}, "unix": {socket, false},
	"redis-sentinel": {sentinel, false}, "rediss-sentinel": {sentinel, true},
	"redis-cluster": {cluster, false}, "rediss-cluster": {cluster, true},
}

const wanted = "want redis://host:port/db, rediss://..., unix:///path, redis-sentinel://h:p,h:p/master or redis-cluster://h:p,h:p"

// modeOf returns how the Redis of a URL is run.
func modeOf(url string) mode {
	scheme, _, _ := strings.Cut(strings.TrimSpace(url), "://")
	return schemes[strings.ToLower(scheme)].mode
}

// IsCluster reports whether a URL is that of a cluster.
func IsCluster(url string) bool { return modeOf(url) == cluster }

// Several reports whether more than one node can serve a URL: a cluster, or what Sentinels
// watch.
func Several(url string) bool { return IsCluster(url) || modeOf(url) == sentinel }

// target is a parsed URL.
type target struct {
	redis.UniversalOptions // its address is the path of a socket, else host:port each
	mode                   mode
	tls, skipVerify        bool
}

// parameters are the parameters that a URL may have.
var parameters = map[string]func(t *target, value string) error{
	"db":                func(t *target, v string) (err error) { t.DB, err = number(v, 0); return err },
	"pool_size":         func(t *target, v string) (err error) { t.PoolSize, err = number(v, 1); return err },
	"dial_timeout":      func(t *target, v string) (err error) { t.DialTimeout, err = duration(v); return err },
	"read_timeout":      func(t *target, v string) (err error) { t.ReadTimeout, err = duration(v); return err },
	"write_timeout":     func(t *target, v string) (err error) { t.WriteTimeout, err = duration(v); return err },
	"client_name":       func(t *target, v string) error { t.ClientName = v; return nil },
	"skip_verify":       func(t *target, v string) (err error) { t.skipVerify, err = strconv.ParseBool(v); return err },
	"sentinel_username": func(t *target, v string) error { t.SentinelUsername = v; return nil },
	"sentinel_password": func(t *target, v string) error { t.SentinelPassword = v; return nil },
}

// CheckURL says what is wrong with a URL, or nothing if Open takes it. The error quotes no user and no password.
func CheckURL(url string) error {
	_, err := parse(url)
	return err
}

// parse reads a URL. net/url can't: it knows one host. Errors name the part that
// is wrong, and quote none that may hold a secret.
func parse(raw string) (*target, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	if !ok {
		return nil, errors.New("the Redis URL has no scheme; " + wanted)
	}
	kind, ok := schemes[strings.ToLower(scheme)]
	if !ok {
		return nil, errors.New("the Redis URL has an unknown scheme; " + wanted)
	}
	t := &target{mode: kind.mode, tls: kind.tls}
	rest, query, _ := strings.Cut(rest, "?")
	if strings.IndexByte(query, '@') >= 0 {
		return nil, errors.New("the Redis URL has an '@' behind a '?'; in a user or password write %3F, in a parameter %40")
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if err := t.parseUser(rest[:at]); err != nil {
			return nil, err
		}
		rest = rest[at+1:]
	}
	if strings.IndexByte(rest, '#') >= 0 {
		return nil, errors.New("the Redis URL has a '#'; in a user or password write %23")
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := t.parsePlace(hosts, path); err != nil {
		return nil, err
	}
	if err := t.parseQuery(query); err != nil {
		return nil, err
	}
	if t.tls {
		// The server's name stays empty: crypto/tls takes each node's host.
		t.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.skipVerify}
	}
	return t, t.check()
}

func (t *target) parseUser(s string) (err error) {
	if strings.ContainsAny(s, "/#@") {
		return errors.New("the Redis URL's user or password has a '/', '#' or '@' that is not percent-encoded (%2F, %23, %40)")
	}
	user, password, _ := strings.Cut(s, ":")
	if t.Username, err = url.PathUnescape(user); err == nil {
		t.Password, err = url.PathUnescape(password)
	}
	if err != nil {
		return errors.New("the Redis URL's user or password has a '%' that is not percent-encoded (%25)")
	}
	return nil
}

func (t *target) parsePlace(hosts, path string) error {
	if t.mode == socket {
		if hosts != "" || path == "" {
			return errors.New("the Redis URL needs an absolute path: unix:///path/to/socket")
		}
		t.Addrs = []string{"/" + path}
		return nil
	}
	port := "6379"
	if t.mode == sentinel {
		port = "26379"
	}
	list := strings.Split(hosts, ",")
	if t.mode == single && len(list) > 1 {
		return errors.New("the Redis URL has several hosts; use redis-cluster:// or redis-sentinel://")
	}
	for i, host := range list {
		addr, err := hostPort(strings.TrimSpace(host), port)
		if err != nil {
			return fmt.Errorf("the Redis URL's host %d %w", i+1, err)
		}
		t.Addrs = append(t.Addrs, addr)
	}
	return t.parsePath(strings.Split(strings.Trim(path, "/"), "/"))
}

func (t *target) parsePath(parts []string) (err error) {
	if t.mode == sentinel {
		if t.MasterName, err = url.PathUnescape(parts[0]); err != nil || t.MasterName == "" {
			return errors.New("the Redis URL lacks the master's name: redis-sentinel://host:26379/mymaster")
		}
		parts = parts[1:]
	}
	if len(parts) == 0 || len(parts) == 1 && parts[0] == "" {
		return nil
	}
	if len(parts) > 1 {
		return errors.New("the Redis URL's path has too many parts")
	}
	if t.DB, err = strconv.Atoi(parts[0]); err != nil || t.DB < 0 {
		return errors.New("the Redis URL's path must be a database number")
	}
	return nil
}

func hostPort(s, port string) (string, error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		host, p = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), port
		if strings.Contains(host, ":") != strings.HasPrefix(s, "[") {
			return "", errors.New("must be host:port ([address]:port for IPv6)")
		}
	}
	n, err := strconv.Atoi(p)
	switch {
	case err != nil || n < 1 || n > 65535:
		return "", errors.New("has a port that is no number from 1 to 65535")
	case host == "":
		return "", errors.New("is empty")
	case strings.ContainsAny(host, " \t%@"):
		return "", errors.New("has a character that no host name has")
	}
	return net.JoinHostPort(host, p), nil
}

func (t *target) parseQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the Redis URL's parameters are not percent-encoded as they should be")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set, known := parameters[name]
		if !known {
			return fmt.Errorf("the Redis URL has an unknown parameter %.30q", name)
		}
		if set(t, values.Get(name)) != nil {
			return fmt.Errorf("the Redis URL's parameter %s has a wrong value", name)
		}
	}
	return nil
}

func (t *target) check() error {
	switch {
	case t.mode == cluster && t.DB != 0:
		return errors.New("the Redis URL names a database; a cluster has database 0 alone")
	case t.skipVerify && !t.tls:
		return errors.New("the Redis URL's skip_verify is for TLS; use rediss")
	case t.mode != sentinel && (t.SentinelUsername != "" || t.SentinelPassword != ""):
		return errors.New("the Redis URL's sentinel_username and sentinel_password are for redis-sentinel://")
	}
	return nil
}

func number(s string, least int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least {
		return 0, strconv.ErrRange
	}
	return n, nil
}

func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if n, bad := strconv.Atoi(s); bad == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d <= 0 {
		return 0, strconv.ErrRange
	}
	return d, nil
}

// Redact returns the URL without its password and its parameters, to be shown. A URL of unknown form becomes "***".
func Redact(raw string) string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	if _, known := schemes[strings.ToLower(scheme)]; !ok || !known {
		return "***"
	}
	// The last '@' of all: a password that was not encoded may have any sign.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, _, hasPassword := strings.Cut(rest[:at], ":")
		if !hasPassword || strings.ContainsAny(user, "/?#@") {
			user = "***"
		} else {
			user += ":***"
		}
		rest = user + rest[at:]
	}
	place, _, _ := strings.Cut(rest, "?")
	return scheme + "://" + place
}
