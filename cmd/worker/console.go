package main

import (
	"github.com/rs/zerolog"

	"habilita/internal/console"
	"habilita/internal/health"
	"habilita/tasks"
)

// newConsole makes the pages for people. Times are told in the zone of the vendor's day.
func newConsole(b *backend, o tasks.Options, log zerolog.Logger) (*console.Console, error) {
	return console.New(console.Options{
		Operator: b.op, Processes: b.registry, Actions: b.actions, Schedules: b.schedules,
		Servers: health.New(b.rdb, o.Prefix, health.Trip{}), Location: o.Quota.Location, Log: log,
	})
}
