package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

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

func webhookURLs(s *Settings, v string) error {
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

func webhookSecrets(s *Settings, v string) error {
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

func webhookEvents(s *Settings, v string) error {
	all := parts(v)
	for _, name := range all {
		if !slices.Contains(WebhookEvents(), name) {
			return errors.New("want some of " + strings.Join(WebhookEvents(), ", "))
		}
	}
	s.WebhookEvents = strings.Join(all, ",")
	return nil
}
