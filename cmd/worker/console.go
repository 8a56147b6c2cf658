package main

import (
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/engine"
	"habilita/internal/web/console"
)

// newConsole makes the pages for people. Times are told in the zone of the vendor's day.
func newConsole(b *backend, o engine.Options, log zerolog.Logger) (*console.Console, error) {
	return console.New(console.Options{
		Operator: b.op, Processes: b.registry, Schedules: b.schedules,
		Servers: breaker.New(b.rdb, o.Prefix, breaker.Trip{}), Location: o.Quota.Location, Log: log,
	})
}
