package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"

	"habilita/internal/control"
)

// asPerson returns a context in which this user decides. What can't be written into the audit log
// is told on errw.
func asPerson(ctx context.Context, errw io.Writer) context.Context {
	return control.WithActor(ctx, control.Actor{Who: whoAmI(), Via: control.ByCLI, Told: func(_ control.AuditEntry, err error) {
		if err != nil {
			fmt.Fprintf(errw, "warning: what was done is not in the audit log: %v\n", explain(err))
		}
	}})
}

// whoAmI is this user and machine.
func whoAmI() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
