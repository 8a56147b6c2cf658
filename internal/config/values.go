package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/vault"
	"habilita/internal/web/guard"
	"habilita/internal/webhook"
	"habilita/internal/wolkvox"
)

const (
	maxLease    = 12 * time.Hour            // a lease crosses one midnight at most
	maxDuration = 10 * 365 * 24 * time.Hour // added to a date, it is still one
	maxGuard    = time.Hour
)

// The functions below set a value, or say in their error what is wanted; the caller names the
// variable and the value.

// checked sets a text that check takes.
func checked(field *string, check func(string) error) func(string) error {
	return func(v string) error {
		err := check(v)
		if err == nil {
			*field = v
		}
		return err
	}
}

func redisURL(v string) error {
	scheme, rest, ok := strings.Cut(v, "://")
	kinds := []string{"redis", "rediss", "unix", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"}
	if !ok || !slices.Contains(kinds, strings.ToLower(scheme)) || rest == "" {
		return errors.New("want redis://host:port/db, rediss://..., redis-sentinel://h:p,h:p/master or redis-cluster://h:p,h:p")
	}
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

// sealingKeys takes keys that can be used: the processes parse them only when they need
// them, and then it is too late to call the setting wrong.
func sealingKeys(v string) error {
	if _, err := vault.ParseKeys(v); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

func vendorURL(v string) error {
	if wolkvox.CheckURL(v) != nil {
		return errors.New("want https://wv{server}.wolkvox.com, or for a rehearsal an address of this machine such as http://127.0.0.1:8080/wv{server}")
	}
	return nil
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

func apiKeys(v string) error   { _, err := guard.ParseKeys(v); return err }
func receivers(v string) error { _, err := webhook.ParseReceivers(v); return err }
func secrets(v string) error   { _, err := webhook.NewSigner(v); return err }
func events(v string) error    { _, err := webhook.ParseTypes(v); return err }

var errDuration = errors.New("want a duration, such as 500ms, 60s, 15m or 720h")

func duration(field *time.Duration, least, most time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		switch {
		case err != nil:
			return errDuration
		case d < least || d > most:
			return fmt.Errorf("want a duration from %s to %s", short(least), short(most))
		case d%time.Millisecond != 0:
			return errors.New("want whole milliseconds")
		}
		*field = d
		return nil
	}
}

// setQuotaGuard reads 0 as 1 ms, the smallest guard that there is.
func (s *Settings) setQuotaGuard(v string) error {
	err := duration(&s.Quota.Guard, 0, maxGuard-time.Millisecond)(v)
	if err != nil && !errors.Is(err, errDuration) {
		err = errors.New("want whole milliseconds, from 0s to below 1h")
	}
	s.Quota.Guard = max(s.Quota.Guard, time.Millisecond)
	return err
}

// short writes a duration as people write it: 12h, not 12h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func number(field *int, least, most int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("want a whole number from %d to %d", least, most)
		}
		*field = n
		return nil
	}
}

func (s *Settings) setTimezone(v string) (err error) {
	// "Local" would be another zone on another machine under the same name.
	if s.Quota.Location, err = time.LoadLocation(v); err != nil || v == "Local" {
		return errors.New("want a zone of the IANA database, such as America/Bogota or UTC")
	}
	return nil
}

func (s *Settings) setLogLevel(v string) (err error) {
	if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, v) {
		return errors.New("want trace, debug, info, warn or error")
	}
	s.LogLevel, err = zerolog.ParseLevel(v)
	return err
}

func logFormat(v string) error {
	if v != formatJSON && v != formatConsole {
		return errors.New("want json or console")
	}
	return nil
}
