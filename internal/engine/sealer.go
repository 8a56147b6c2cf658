package engine

import (
	"hash/maphash"

	"habilita/internal/ledger"
)

// remembered is how many tokens a sealer remembers. Rows of a token stand together as a
// rule, or come by turns.
const remembered = 1024

// sealer names and seals tokens, and remembers those that it saw of late: naming and
// sealing is most of what a producer does for a call. It is for one goroutine, and is
// thrown away with its batch.
type sealer struct {
	p    *Producer
	seed maphash.Seed
	last [remembered]sealedToken
}

type sealedToken struct {
	token        Token
	name, sealed string
}

func newSealer(p *Producer) *sealer { return &sealer{p: p, seed: maphash.MakeSeed()} }

func (s *sealer) prepare(c *Call) (ledger.NewCall, error) {
	known := &s.last[maphash.String(s.seed, string(c.Token))%remembered]
	if known.token != c.Token || known.name == "" {
		n, err := s.p.prepare(c)
		if err == nil {
			*known = sealedToken{c.Token, n.Token, n.Sealed}
		}
		return n, err
	}
	return newCall(c, known.name, known.sealed), nil
}
