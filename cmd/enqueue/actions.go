package main

import (
	"context"
	"fmt"
	"io"

	"habilita/internal/control"
)

// asPerson returns a context in which this user decides. What can't be written into the audit log
// is told on errw.
func asPerson(ctx context.Context, errw io.Writer) context.Context {
	return control.WithActor(ctx, control.Actor{Who: control.ThisUser(), Via: control.ByCLI, Told: func(_ control.AuditEntry, err error) {
		if err != nil {
			fmt.Fprintf(errw, "warning: what was done is not in the audit log: %v\n", explain(err))
		}
	}})
}
