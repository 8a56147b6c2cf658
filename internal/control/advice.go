package control

import (
	"fmt"
	"net/url"
	"strings"

	"habilita/internal/ledger"
	"habilita/internal/say"
	"habilita/internal/wolkvox"
)

// HeadLine names the call at which a chain is held.
func HeadLine(r CallRecord, batch string) string {
	parts := []string{"call " + r.ID}
	if r.Ref != "" {
		parts = append(parts, fmt.Sprintf("ref %q", r.Ref))
	}
	if r.Row > 0 {
		parts = append(parts, fmt.Sprintf("row %d", r.Row))
	}
	parts = append(parts, "server "+r.Server)
	if batch != "" {
		parts = append(parts, "batch "+batch)
	}
	return strings.Join(parts, ", ")
}

// NextStep says what a person can do about a chain that is held at a call.
func NextStep(head CallRecord, chain string, m ledger.Batch) string {
	retry := "enqueue retry --chain " + chain
	others := fmt.Sprintf("   (or: enqueue skip --chain %s; enqueue cancel --chain %s)", chain, chain)
	cause := Cause(head)
	switch RemedyOf(cause) {
	case RemedyToken:
		// Another request with the same token fails as well, and so does what stands behind it.
		return correct("token", chain, m) + "   (if it was put right at the vendor: " + retry + ")"
	case RemedyKey:
		return "put the sealing key back into HABILITA_KEYS and restart the workers, then: " + retry + "   (or: enqueue cancel --chain " + chain + ")"
	case RemedyAsk:
		if cause == string(wolkvox.NotFound) {
			return "if the server is wrong, " + correct("server", chain, m) + "   (otherwise: " + retry + ")"
		}
		return "see what the vendor says of it, then: " + retry + others
	case RemedyLook:
		return fmt.Sprintf("ask the vendor whether it was done (X-Request-ID: %s.%d), then: enqueue skip --chain %s   (or, if not: %s)",
			head.ID, head.Attempts, chain, retry)
	}
	return retry + others
}

// correct says how to put a wrong token or server right.
func correct(what, chain string, m ledger.Batch) string {
	prune := "--prune"
	if m.Holds() {
		prune = fmt.Sprintf("--canary %d --prune", m.Canary)
	}
	switch {
	case m.Name == "":
		return fmt.Sprintf("give the call again with the right %s, after: enqueue cancel --chain %s", what, chain)
	case m.Path != "": // the batch is named after it
		return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk %s %s", what, say.File(m.Path), prune)
	}
	// It came from a file under another name, over HTTP, from a schedule or a program.
	return fmt.Sprintf("correct the %s in the file and give it again: enqueue bulk FILE --batch %s %s; or over HTTP: POST /v1/batches?prune&batch=%s; if a schedule made it, also: enqueue schedule add --replace",
		what, say.Quote(m.Name), prune, url.QueryEscape(m.Name))
}
