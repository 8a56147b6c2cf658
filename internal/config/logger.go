package config

import (
	"io"
	"time"

	"github.com/rs/zerolog"
)

const (
	formatJSON    = "json"
	formatConsole = "console"

	// Milliseconds in UTC, always three digits, so that lines sort as text.
	stamp = "2006-01-02T15:04:05.000Z07:00"
)

// Logger writes to w in LOG_FORMAT from LOG_LEVEL on, each line with its time in
// milliseconds: JSON with UTC, or for people with colours on a terminal. isTerminal says
// whether w is one. Safe for concurrent use with any w.
func Logger(s Settings, w io.Writer, isTerminal bool) zerolog.Logger {
	format := s.LogFormat
	if format == "" && isTerminal {
		format = formatConsole
	}
	out := zerolog.SyncWriter(w)
	if format == formatConsole {
		out = zerolog.ConsoleWriter{Out: out, NoColor: !isTerminal, TimeFormat: "15:04:05.000"}
	}
	// A hook and not Timestamp, whose format is a global of zerolog.
	return zerolog.New(out).Level(s.LogLevel).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(stamp))
	}))
}
