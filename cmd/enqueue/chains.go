package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/wolkvox"
)

func (a *app) chains() *cobra.Command {
	var held, scheduled bool
	cmd := &cobra.Command{
		Use:   "chains",
		Short: "Chains that wait, each with its reason and until when",
		Long: `Show what waits, why, and until when. A chain has the calls of a token in order; its head is
the first that is not done.

--held shows only chains that wait for a person, with the failed call and what to type next.
--scheduled shows calls that are not due yet (--at, --in). They join the end of their chain
when they are due, and block nothing until then.`,
		Example: `  enqueue chains
  enqueue chains --held
  enqueue chains --scheduled
  enqueue chains --json | jq -r 'select(.reason == "quota") | .chain'`,
		PreRunE: func(*cobra.Command, []string) error {
			if held && scheduled {
				return usagef("--held and --scheduled can't both be given")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&held, "held", false, "only chains that wait for a person")
	cmd.Flags().BoolVar(&scheduled, "scheduled", false, "the calls that are not due yet, each with its time")
	a.jsonFlag(cmd, "one JSON object a chain, or with --scheduled a call")
	return a.onRedis(cmd, redisconn.Reader, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		w := bufio.NewWriter(a.out)
		if scheduled {
			return errors.Join(a.listScheduled(ctx, w, s), w.Flush())
		}
		return errors.Join(a.listChains(ctx, w, s, held), w.Flush())
	})
}

func (a *app) listChains(ctx context.Context, w io.Writer, s *session, held bool) error {
	n, next := 0, heldTeller{s.op, map[string]ledger.Batch{}, map[string]string{}}
	var unread error
	for c, err := range s.op.Chains(ctx, held) {
		switch {
		case err != nil:
		case a.json:
			err = writeJSON(w, c)
		default:
			_, err = fmt.Fprintln(w, a.chainLine(c))
			if err == nil && held {
				err = next.tell(ctx, w, c)
			}
		}
		if err != nil && control.Unread(err) == 0 {
			return err
		}
		n, unread = n+1, errors.Join(unread, err)
	}
	switch {
	case unread != nil, a.json:
		return unread
	case n == 0 && held:
		fmt.Fprintln(w, "no chain waits for a person")
	case n == 0:
		fmt.Fprintln(w, "no chain waits")
	}
	if held {
		return nil
	}
	calls, first, err := s.op.CountScheduled(ctx)
	if err == nil && calls > 0 {
		fmt.Fprintf(w, "%s scheduled, the first for %s: enqueue chains --scheduled\n", say.Count(calls, "call"), a.local(first))
	}
	return err
}

// listScheduled lists the calls that are not due yet.
func (a *app) listScheduled(ctx context.Context, w io.Writer, s *session) error {
	n := 0
	for c, err := range s.op.Scheduled(ctx) {
		if err != nil {
			return err
		}
		n++
		if a.json {
			err = writeJSON(w, c)
		} else {
			_, err = fmt.Fprintf(w, "%s  %s  server %s  chain %s\n", a.local(c.DueAt), c.ID, c.Server, c.Chain)
		}
		if err != nil {
			return err
		}
	}
	if n == 0 && !a.json {
		fmt.Fprintln(w, "no call is scheduled")
	}
	return nil
}

// chainLine is a chain on one line: its id, its head's server, why it waits.
func (a *app) chainLine(c control.Chain) string {
	line := fmt.Sprintf("%s  server %s  %s", c.ID, c.Head.Server, c.Why)
	switch {
	case !c.Until.IsZero():
		line += " (until " + a.local(c.Until) + ")"
	case c.Held() && !c.Since.IsZero():
		line += " (since " + a.local(c.Since) + ")"
	}
	if c.Behind > 0 {
		line += "; " + say.Count(c.Behind, "call") + " behind it"
	}
	return line
}

// heldTeller tells of held chains what a person needs to know.
type heldTeller struct {
	op      *control.Control
	batches map[string]ledger.Batch // by short name
	told    map[string]string       // the first chain of each advice
}

// tell tells the call that a held chain stands at, and what to do about it. Advice that stands
// above is not told again.
func (t heldTeller) tell(ctx context.Context, w io.Writer, c control.Chain) error {
	id := c.Head.BatchID()
	batch, known := t.batches[id]
	if !known {
		var err error
		if batch, err = t.op.BatchOf(ctx, c.Head); err != nil {
			if control.Unread(err) > 0 {
				fmt.Fprintf(w, "    %s; its batch can't be read now\n", headLine(c.Head, batch))
			}
			return err
		}
		t.batches[id] = batch
	}
	advice := nextStep(c.Head, say.Quote(c.ID), batch)
	of := nextStep(c.Head, "CHAIN", batch)
	if first := t.told[of]; first != "" {
		advice = "as for " + first + ", with the id of this chain"
	} else {
		t.told[of] = c.ID
	}
	_, err := fmt.Fprintf(w, "    %s\n    next: %s\n", headLine(c.Head, batch), advice)
	return err
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

// nextStep is what a person does about a chain that is held at a call.
func nextStep(head control.CallRecord, chain string, m ledger.Batch) string {
	retry := "enqueue retry --chain " + chain
	others := fmt.Sprintf("   (or: enqueue skip --chain %s; enqueue cancel --chain %s)", chain, chain)
	cause := control.Cause(head)
	switch control.RemedyOf(cause) {
	case control.RemedyToken:
		// Another request with the same token fails as well, and so does what stands behind it.
		return correct("token", chain, m) + "   (if it was put right at the vendor: " + retry + ")"
	case control.RemedyKey:
		return "put the sealing key back into HABILITA_KEYS and restart the workers, then: " + retry + "   (or: enqueue cancel --chain " + chain + ")"
	case control.RemedyAsk:
		if cause == string(wolkvox.NotFound) {
			return "if the server is wrong, " + correct("server", chain, m) + "   (otherwise: " + retry + ")"
		}
		return "see what the vendor says of it, then: " + retry + others
	case control.RemedyLook:
		return fmt.Sprintf("ask the vendor whether it was done (X-Request-ID: %s.%d), then: enqueue skip --chain %s   (or, if not: %s)",
			head.ID, head.Attempts, chain, retry)
	}
	return retry + others
}

// correct is how a wrong token or server is put right.
func correct(what, chain string, m ledger.Batch) string {
	switch {
	case m.Name == "":
		return fmt.Sprintf("give the call again with the right %s, after: enqueue cancel --chain %s", what, chain)
	case m.Path != "": // the batch bears its name
		return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk %s --prune", what, say.File(m.Path))
	}
	// It came from a file under another name, over HTTP, from a schedule or a program.
	return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk FILE --batch %s --prune; or over HTTP: POST /v1/batches?prune&batch=%s; if a schedule made it, also: enqueue schedule add --replace",
		what, say.Quote(m.Name), url.QueryEscape(m.Name))
}
