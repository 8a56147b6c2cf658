package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"

	"habilita/examples"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
)

// demoBatch is the name of the demo's batch.
const demoBatch = "demo"

// demoPlan is what a file asks for.
type demoPlan struct {
	source   string
	calls    []demoCall // in the file's order
	rejected []error    // rows that can't be calls
}

// demoCall is a row, and how the ledger knows it.
type demoCall struct {
	rows.Row
	tokenID, chainID, id string
}

// read reads the file that was asked for and reports rows that can't be calls.
func (d *demo) read() (*demoPlan, error) {
	var in io.Reader = examples.Operations()
	name := examples.OperationsName
	if d.file != "" {
		f, err := os.Open(d.file)
		if err != nil {
			return nil, usageError{fmt.Errorf("--file: %w", err)}
		}
		defer f.Close()
		in, name = f, d.file
	}
	plan, err := readPlan(in, name)
	if err != nil {
		return nil, err
	}
	for _, bad := range plan.rejected {
		fmt.Fprintln(d.err, bad)
	}
	if len(plan.calls) == 0 {
		return nil, fmt.Errorf("%s has no row that can be used", name)
	}
	return plan, nil
}

func readPlan(r io.Reader, name string) (*demoPlan, error) {
	plan := &demoPlan{source: name}
	for row, err := range rows.Read(r, name, rows.Auto, rows.Vendor()) {
		var bad *rows.RowError
		switch {
		case err == nil:
			plan.calls = append(plan.calls, demoCall{Row: row})
		case errors.As(err, &bad):
			plan.rejected = append(plan.rejected, bad)
		default:
			return nil, err
		}
	}
	return plan, nil
}

// name works out the names under which the ledger knows the calls.
func (p *demoPlan) name(ids *vault.TokenIDs) {
	batch := ledger.BatchID(demoBatch)
	same := map[string]uint64{} // rows so far that say the same
	for i := range p.calls {
		c := &p.calls[i]
		c.tokenID = ids.Name(c.Token)
		c.chainID = ledger.ChainID(c.tokenID, c.Chain)
		key := ledger.GivenKey(c.ID)
		if c.ID == "" {
			first := ledger.RowKey(ids, 1, c.Server, c.tokenID, c.Chain, c.Ref)
			same[c.tokenID+first]++
			key = ledger.RowKey(ids, same[c.tokenID+first], c.Server, c.tokenID, c.Chain, c.Ref)
		}
		c.id = ledger.CallID(batch, c.tokenID, key)
	}
}

// sequence is the calls as the producer takes them.
func (p *demoPlan) sequence() iter.Seq2[engine.Call, error] {
	return func(yield func(engine.Call, error) bool) {
		for _, c := range p.calls {
			call := engine.Call{Server: c.Server, Token: engine.Token(c.Token), Licenses: c.Licenses, Chain: c.Chain, Ref: c.Ref, ID: c.ID}
			if !yield(call, nil) {
				return
			}
		}
	}
}

// chains are the ids of the calls of each chain in order, as judged has them.
func (p *demoPlan) chains() [][]string {
	index := map[string]int{}
	seen := map[string]bool{} // an id that comes again is the same call
	var out [][]string
	for _, c := range p.calls {
		id := judged(c.Token, c.id)
		if seen[id] {
			continue
		}
		seen[id] = true
		i, ok := index[c.chainID]
		if !ok {
			i = len(out)
			index[c.chainID] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], id)
	}
	return out
}

// judged is a call's id for the judges: a file may give one id to several tokens.
func judged(token, id string) string { return wolkvoxtest.TokenHash(token) + "/" + id }

func (p *demoPlan) tokens() int {
	return p.distinct(func(c demoCall) string { return c.Token })
}

func (p *demoPlan) servers() int {
	return p.distinct(func(c demoCall) string { return c.Server })
}

func (p *demoPlan) distinct(of func(demoCall) string) int {
	seen := map[string]bool{}
	for _, c := range p.calls {
		seen[of(c)] = true
	}
	return len(seen)
}

// operationNames names each token by what the refs of its calls have in common.
func (p *demoPlan) operationNames() map[string]string {
	refs := map[string][]string{}
	for _, c := range p.calls {
		refs[c.Token] = append(refs[c.Token], c.Ref)
	}
	names := map[string]string{}
	for token, all := range refs {
		names[token] = operationName(all)
	}
	return names
}

// namesByID is operationNames by token_id.
func (p *demoPlan) namesByID() map[string]string {
	names := p.operationNames()
	out := map[string]string{}
	for _, c := range p.calls {
		out[c.tokenID] = names[c.Token]
	}
	return out
}

// operationName is what stands before " - " in a ref where all begin so, such as
// "Soporte Bogotá" of "Soporte Bogotá - módulo chat"; else the first ref, and whether
// there are others.
func operationName(refs []string) string {
	head, _, _ := strings.Cut(refs[0], " - ")
	others := false
	for _, ref := range refs[1:] {
		if before, _, _ := strings.Cut(ref, " - "); before != head {
			return strings.TrimSpace(refs[0] + " ...")
		}
		others = others || ref != refs[0]
	}
	if !others {
		head = refs[0]
	}
	return head
}

// count is a number with a noun: "1 call", "2 calls".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// short is a token_id as the table shows it.
func short(tokenID string) string { return tokenID[:min(8, len(tokenID))] }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shellWord writes an argument as a shell takes it.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:=@%+,", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
