package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func redisURL(s *Settings, v string) error {
	scheme, rest, ok := strings.Cut(v, "://")
	kinds := []string{"redis", "rediss", "unix", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"}
	if !ok || !slices.Contains(kinds, strings.ToLower(scheme)) || rest == "" {
		return errors.New("want redis://host:port/db, rediss://..., redis-sentinel://h:p,h:p/master or redis-cluster://h:p,h:p")
	}
	s.RedisURL = v
	return nil
}

// plainURL is an address that can't hold a secret: a host or several, ports, a path.
var plainURL = regexp.MustCompile(`^[A-Za-z-]+://[A-Za-z0-9.:,\[\]{}-]*(/[A-Za-z0-9._/{}-]*)?$`)

// carriesSecret reports whether an address may hold a password: it has a user, or a query
// with one. In doubt it does.
func carriesSecret(v string) bool {
	_, query, _ := strings.Cut(strings.ToLower(v), "?")
	return strings.Contains(v, "@") || strings.Contains(query, "pass") || strings.Contains(query, "user")
}

func wolkvoxURL(s *Settings, v string) error {
	scheme, rest, _ := strings.Cut(v, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		host = rest[:i]
	}
	switch {
	case host == "" || strings.Contains(rest, "@"):
	case strings.EqualFold(scheme, "https"), strings.EqualFold(scheme, "http") && loopback(host):
		s.WolkvoxURL = v
		return nil
	}
	return errors.New("want https://wv{server}.wolkvox.com, or for a rehearsal an address of this machine such as http://127.0.0.1:8080/wv{server}")
}

// loopback reports whether a host, with or without a port, is this machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

func listen(s *Settings, v string) error {
	if v == "off" {
		s.Listen = ""
		return nil
	}
	host, port, err := net.SplitHostPort(v)
	n, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || strings.ContainsAny(host, " /@") || strconv.FormatUint(n, 10) != port {
		return errors.New("want host:port with a port from 0 to 65535, such as 127.0.0.1:8080, or off")
	}
	s.Listen = v
	return nil
}
