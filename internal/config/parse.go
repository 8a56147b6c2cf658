package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/vault"
)

const (
	maxLease    = 12 * time.Hour            // a lease crosses one midnight at most
	maxDuration = 10 * 365 * 24 * time.Hour // added to a date, it is still one
	maxGuard    = time.Hour
)

// setKeys takes keys that can be used: the processes parse them only when they need
// them, and then it is too late to call the setting wrong.
func (s *Settings) setKeys(v string) error {
	if _, err := vault.ParseKeys(v); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	s.Keys = v
	return nil
}

var errDuration = errors.New("want a duration, such as 500ms, 60s, 15m or 720h")

// The set functions below say in their error what is wanted; the caller names the
// variable and the value.

func parseDuration(v string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return 0, errDuration
	case d < least || d > most:
		return 0, fmt.Errorf("want a duration from %s to %s", short(least), short(most))
	case d%time.Millisecond != 0:
		return 0, errors.New("want whole milliseconds")
	}
	return d, nil
}

func duration(field *time.Duration, least, most time.Duration) func(string) error {
	return func(v string) error {
		d, err := parseDuration(v, least, most)
		if err == nil {
			*field = d
		}
		return err
	}
}

func (s *Settings) setQuotaGuard(v string) error {
	d, err := parseDuration(v, 0, maxGuard-time.Millisecond)
	if errors.Is(err, errDuration) {
		return err
	}
	if err != nil {
		return errors.New("want whole milliseconds, from 0s to below 1h")
	}
	s.QuotaGuard = max(d, time.Millisecond)
	return nil
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

func (s *Settings) setTimezone(v string) error {
	// "Local" would be another zone on another machine under the same name.
	if v == "Local" {
		return errors.New("want the name of a zone, such as America/Bogota")
	}
	loc, err := time.LoadLocation(v)
	if err != nil {
		return errors.New("want a zone of the IANA database, such as America/Bogota or UTC")
	}
	s.Timezone = loc
	return nil
}

func (s *Settings) setLogLevel(v string) error {
	switch v {
	case zerolog.LevelTraceValue, zerolog.LevelDebugValue, zerolog.LevelInfoValue,
		zerolog.LevelWarnValue, zerolog.LevelErrorValue:
		level, err := zerolog.ParseLevel(v)
		s.LogLevel = level
		return err
	}
	return errors.New("want trace, debug, info, warn or error")
}

func (s *Settings) setLogFormat(v string) error {
	if v != formatJSON && v != formatConsole {
		return errors.New("want json or console")
	}
	s.LogFormat = v
	return nil
}
