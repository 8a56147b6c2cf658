package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"

	"habilita/internal/control"
)

// note writes a decision into the audit log. Where that fails, the decision stands.
func (s *session) note(ctx context.Context, errw io.Writer, d decision, sel control.Selection, n int, failed error) {
	result := count(n, d.noun)
	if note := control.UnreadNote(failed); note != "" {
		result += note
	} else if failed != nil {
		result = fmt.Sprintf("failed after %s: %v", result, failed)
	}
	s.noteAction(ctx, errw, d.name, sel.String(), result)
}

// noteAction writes an action with its target and what came of it.
func (s *session) noteAction(ctx context.Context, errw io.Writer, action, target, result string) {
	_, err := control.NewAuditLog(s.rdb, prefix).Append(context.WithoutCancel(ctx), control.AuditEntry{
		Who: whoAmI(), Via: control.ByCLI, Action: action, Target: target, Result: result,
	})
	if err != nil {
		fmt.Fprintf(errw, "warning: what was done is not in the action log: %v\n", explain(err))
	}
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
