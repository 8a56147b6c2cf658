package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (s *Settings) setRedisURL(v string) error {
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

func (s *Settings) setWolkvoxURL(v string) error {
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

func (s *Settings) setListen(v string) error {
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

// WebhookEvents are the events that WEBHOOK_EVENTS may name.
func WebhookEvents() []string {
	return []string{
		"batch.settled", "batch.held", "batch.canary_held", "schedule.failed", "schedule.skipped",
		"server.down", "server.up", "quota.used_up", "call.finished",
	}
}

// The bounds of a webhook's secret, in bytes, as the Standard Webhooks specification has them.
const (
	leastSecret = 24
	mostSecret  = 64
)

// parts are the values of a list, without the white space around them.
func parts(v string) []string {
	all := strings.Split(v, ",")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

func (s *Settings) setWebhookURLs(v string) error {
	all := parts(v)
	for i, text := range all {
		u, err := url.Parse(text)
		good := err == nil && u.Host != "" && u.User == nil && u.Fragment == "" &&
			(u.Scheme == "https" || u.Scheme == "http" && loopback(u.Host))
		if !good { // the address may hold a secret: its place says which
			return fmt.Errorf("address %d of %d: want https://host/path, or http:// on this machine, with no user and no #", i+1, len(all))
		}
		if slices.Contains(all[:i], text) {
			return fmt.Errorf("address %d of %d stands there twice", i+1, len(all))
		}
	}
	s.WebhookURLs = strings.Join(all, ",")
	return nil
}

func (s *Settings) setWebhookSecrets(v string) error {
	all := parts(v)
	for i, text := range all {
		rest, ok := strings.CutPrefix(text, "whsec_")
		key, err := base64.StdEncoding.DecodeString(rest)
		if !ok || err != nil || len(key) < leastSecret || len(key) > mostSecret {
			return fmt.Errorf("secret %d of %d: want whsec_ and base64 of %d to %d bytes; make one with: enqueue keygen --webhook",
				i+1, len(all), leastSecret, mostSecret)
		}
	}
	s.WebhookSecrets = strings.Join(all, ",")
	return nil
}

func (s *Settings) setWebhookEvents(v string) error {
	all := parts(v)
	for _, name := range all {
		if !slices.Contains(WebhookEvents(), name) {
			return errors.New("want some of " + strings.Join(WebhookEvents(), ", "))
		}
	}
	s.WebhookEvents = strings.Join(all, ",")
	return nil
}
