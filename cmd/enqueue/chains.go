package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

func (a *app) chains() *cobra.Command {
	var held, scheduled, asJSON bool
	cmd := &cobra.Command{
		Use:     "chains",
		Short:   "Chains that wait, each with its reason and until when",
		GroupID: groupSee,
		Long: `Show what waits, why, and until when. A chain has the calls of a token in order; its head is
the first that is not done.

--held shows only chains that wait for a person, with the failed call and what to type next.
--scheduled shows calls that are not due yet (--at, --in). They join the end of their chain
when they are due, and block nothing until then.`,
		Example: `  enqueue chains
  enqueue chains --held
  enqueue chains --scheduled
  enqueue chains --json | jq -r 'select(.reason == "quota") | .chain'`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if held && scheduled {
				return usagef("--held and --scheduled can't both be given")
			}
			s, err := a.open(cmd, config.Limits)
			if err != nil {
				return err
			}
			defer s.close()
			w := bufio.NewWriter(a.out)
			if scheduled {
				return errors.Join(listScheduled(cmd.Context(), w, s, asJSON), w.Flush())
			}
			n, batches := 0, &heldBatches{op: s.op, known: map[string]ledger.Batch{}}
			var unread error
			for c, err := range s.op.Chains(cmd.Context(), held) {
				if err != nil {
					unread = errors.Join(unread, err)
					break
				}
				n++
				if asJSON {
					err = writeJSON(w, c)
				} else {
					_, err = fmt.Fprintln(w, chainLine(c, s.set.Timezone))
					if err == nil && held {
						err = tellHeld(cmd.Context(), w, c, batches)
					}
				}
				if control.Unread(err) > 0 {
					unread = errors.Join(unread, err)
				} else if err != nil {
					return err
				}
			}
			if unread != nil {
				_ = w.Flush()
				return unread
			}
			if n == 0 && !asJSON {
				what := "no chain waits"
				if held {
					what = "no chain waits for a person"
				}
				fmt.Fprintln(w, what)
			}
			if !held && !asJSON {
				if err := tellScheduled(cmd.Context(), w, s); err != nil {
					return err
				}
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&held, "held", false, "only chains that wait for a person")
	cmd.Flags().BoolVar(&scheduled, "scheduled", false, "the calls that are not due yet, each with its time")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a chain, or with --scheduled a call")
	config.Bind(cmd.Flags(), config.Limits)
	return cmd
}

// tellHeld tells the call that a held chain stands at, and what to do about it.
func tellHeld(ctx context.Context, w io.Writer, c control.Chain, batches *heldBatches) error {
	m, err := batches.of(ctx, c.Head)
	if control.Unread(err) > 0 {
		_, _ = fmt.Fprintf(w, "    %s; its batch can't be read now\n", headLine(c.Head, m))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "    %s\n    next: %s\n", headLine(c.Head, m), nextStep(c, m))
	return err
}

// chainLine is a chain on one line: its id, its head's server, why it waits.
func chainLine(c control.Chain, zone *time.Location) string {
	line := fmt.Sprintf("%s  server %s  %s", c.ID, c.Head.Server, c.Why)
	switch {
	case !c.Until.IsZero():
		line += " (until " + local(c.Until, zone) + ")"
	case c.Held() && !c.Since.IsZero():
		line += " (since " + local(c.Since, zone) + ")"
	}
	if c.Behind > 0 {
		line += "; " + count(c.Behind, "call") + " behind it"
	}
	return line
}

// heldBatches knows the batches of held chains.
type heldBatches struct {
	op    *control.Control
	known map[string]ledger.Batch // by short name
}

// of is the batch of a call; the zero Batch for none.
func (b *heldBatches) of(ctx context.Context, r control.CallRecord) (ledger.Batch, error) {
	id := r.BatchID()
	if m, ok := b.known[id]; ok {
		return m, nil
	}
	m, err := b.op.BatchOf(ctx, r)
	if err == nil {
		b.known[id] = m
	}
	return m, err
}

// headLine names the call at which a chain is held.
func headLine(r control.CallRecord, m ledger.Batch) string {
	parts := []string{"call " + r.ID}
	if r.Ref != "" {
		parts = append(parts, fmt.Sprintf("ref %q", r.Ref))
	}
	if r.Row > 0 {
		parts = append(parts, fmt.Sprintf("row %d", r.Row))
	}
	parts = append(parts, "server "+r.Server)
	if m.Name != "" {
		parts = append(parts, "batch "+m.Name)
	}
	return strings.Join(parts, ", ")
}

// nextStep is what a person does about a held chain.
func nextStep(c control.Chain, m ledger.Batch) string {
	id := quoteArg(c.ID)
	retry := "enqueue retry --chain " + id
	others := fmt.Sprintf("   (or: enqueue skip --chain %s; enqueue cancel --chain %s)", id, id)
	cause := control.Cause(c.Head)
	switch control.RemedyOf(cause) {
	case control.RemedyToken:
		// Another request with the same token fails as well, and so does what stands behind it.
		return correct("token", id, m) + "   (if it was put right at the vendor: " + retry + ")"
	case control.RemedyKey:
		return "put the sealing key back into HABILITA_KEYS and restart the workers, then: " + retry + "   (or: enqueue cancel --chain " + id + ")"
	case control.RemedyAsk:
		if cause == string(wolkvox.NotFound) {
			return "if the server is wrong, " + correct("server", id, m) + "   (otherwise: " + retry + ")"
		}
		return "see what the vendor says of it, then: " + retry + others
	case control.RemedyLook:
		return "ask the vendor whether it was done (X-Request-ID: " + c.Head.ID + "." + fmt.Sprint(c.Head.Attempts) + "), then: enqueue skip --chain " + id + "   (or, if not: " + retry + ")"
	}
	return retry + others
}

// correct is how a wrong token or server is put right.
func correct(what, chain string, m ledger.Batch) string {
	switch {
	case m.Name == "":
		return fmt.Sprintf("give the call again with the right %s, after: enqueue cancel --chain %s", what, chain)
	case m.Path != "": // the batch bears its name
		return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk %s --prune", what, quoteFile(m.Path))
	}
	// It came from a file under another name, over HTTP, from a schedule or a program.
	return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk FILE --batch %s --prune; or over HTTP: POST /v1/batches?prune&batch=%s; if a schedule made it, also: enqueue schedule add --replace",
		what, quoteArg(m.Name), url.QueryEscape(m.Name))
}
