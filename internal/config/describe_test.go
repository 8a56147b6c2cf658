package config_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"habilita/internal/config"
)

func TestDescribeAgreesWithTheFlags(t *testing.T) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Bind(fs, config.All)
	flags := 0
	for _, r := range config.Describe() {
		if r.Variable == "HABILITA_KEYS" || r.Variable == "HABILITA_API_KEYS" || r.Variable == "WEBHOOK_SECRETS" {
			if r.Flag() != "" || fs.Lookup("habilita-keys") != nil || fs.Lookup("habilita-api-keys") != nil || fs.Lookup("webhook-secrets") != nil {
				t.Error("a secret has a flag")
			}
			continue
		}
		flags++
		if want := "--" + strings.ReplaceAll(strings.ToLower(r.Variable), "_", "-"); r.Flag() != want {
			t.Errorf("flag %s, want %s", r.Flag(), want)
		}
		f := fs.Lookup(r.Flag()[2:])
		if f == nil || f.DefValue != r.Default || !strings.HasPrefix(f.Usage, r.Meaning) || !strings.Contains(f.Usage, "["+r.Variable+"]") {
			t.Errorf("%s: the flag is %+v", r.Variable, f)
		}
	}
	n := 0
	fs.VisitAll(func(*pflag.Flag) { n++ })
	if n != flags {
		t.Errorf("%d flags, %d described", n, flags)
	}
	if help := fs.FlagUsages(); !strings.Contains(help, "(default 60s)") || !strings.Contains(help, "--call-timeout duration") {
		t.Errorf("help:\n%s", help)
	}
}

func TestLogger(t *testing.T) {
	var out strings.Builder
	log := config.Logger(config.Settings{LogLevel: zerolog.InfoLevel}, &out, false)
	log.Debug().Msg("unseen")
	before := time.Now().Truncate(time.Millisecond)
	log.Info().Str("chain", "c1").Msg("seen")
	var line struct{ Level, Time, Message, Chain string }
	if err := json.Unmarshal([]byte(out.String()), &line); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	at, err := time.Parse("2006-01-02T15:04:05.000Z", line.Time)
	if err != nil || at.Before(before) || line.Level != "info" || line.Message != "seen" || line.Chain != "c1" {
		t.Errorf("got %s (%v)", &out, err)
	}
}

func TestLoggerFormats(t *testing.T) {
	for _, c := range []struct {
		format   string
		terminal bool
		json     bool
	}{{"", false, true}, {"", true, false}, {"json", true, true}, {"console", false, false}} {
		var out strings.Builder
		log := config.Logger(config.Settings{LogFormat: c.format, LogLevel: zerolog.TraceLevel}, &out, c.terminal)
		log.Trace().Msg("hello")
		if got := json.Valid([]byte(out.String())); got != c.json || !strings.Contains(out.String(), "hello") {
			t.Errorf("%+v: %q", c, &out)
		}
		if !c.json && !c.terminal && strings.Contains(out.String(), "\x1b") {
			t.Errorf("colours in a file: %q", &out)
		}
	}
}
