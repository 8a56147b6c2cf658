package main

import (
	"strconv"
	"strings"
)

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
