package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"habilita/internal/control"
	"habilita/internal/ledger"
)

// heldBatches knows the batches of held chains.
type heldBatches struct {
	op    *control.Control
	known map[string]ledger.Batch // by short name
}

// of is the batch of a call; the zero Meta for none.
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
	switch control.RemedyOf(control.Cause(c.Head)) {
	case control.RemedyToken:
		// Another request with the same token fails as well, and so does what stands behind it.
		if m.Name == "" {
			return fmt.Sprintf("the token is wrong: enqueue cancel --chain %s, then the call again with the right one", id)
		}
		if m.Path != "" { // the batch bears its name
			return "correct the token in the file and give it again with --prune: enqueue bulk " + quoteFile(m.Path) + " --prune"
		}
		// It came from a file under another name, over HTTP, from a schedule or a program.
		return "correct the token in what the batch was made of and give all of it again with prune: enqueue bulk FILE --batch " +
			quoteArg(m.Name) + " --prune (over HTTP: POST /v1/batches?prune&batch=" + url.QueryEscape(m.Name) + "). If a schedule made it: enqueue schedule add --replace, too"
	case control.RemedyKey:
		return "put the sealing key back into HABILITA_KEYS and restart the workers, then: " + retry + "   (or: enqueue cancel --chain " + id + ")"
	case control.RemedyAsk:
		return "see what the vendor says of it (the server may be the wrong one), then: " + retry + others
	case control.RemedyLook:
		return "ask the vendor whether it was done (X-Request-ID: " + c.Head.ID + "." + fmt.Sprint(c.Head.Attempts) + "), then: enqueue skip --chain " + id + "   (or, if not: " + retry + ")"
	}
	return retry + others
}
