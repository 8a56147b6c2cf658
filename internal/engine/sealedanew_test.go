package engine

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
	"habilita/internal/vault"
)

// A token that is given again is sealed under the first of the keys, in every way in.
func TestTokenGivenAgainIsSealedUnderTheFirstKey(t *testing.T) {
	older, err := vault.GenerateKey("older")
	if err != nil {
		t.Fatal(err)
	}
	newer, err := vault.GenerateKey("newer")
	if err != nil {
		t.Fatal(err)
	}
	call := Call{Server: "1", Token: "token-1", ID: "a"}
	for name, enqueue := range map[string]func(p *Producer) error{
		"a call": func(p *Producer) error {
			c := call
			c.Batch = "b"
			_, err := p.Enqueue(t.Context(), c)
			return err
		},
		"a call of no batch": func(p *Producer) error { _, err := p.Enqueue(t.Context(), call); return err },
		"a batch": func(p *Producer) error {
			_, err := p.EnqueueBatch(t.Context(), "b", given([]Call{call}), BatchOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			mini := redistest.Mini(t)
			client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
			t.Cleanup(func() { _ = client.Close() })
			for _, step := range []struct{ keys, by string }{{older, "older"}, {newer + "," + older, "newer"}} {
				p, err := NewProducer(t.Context(), client, Options{Keys: step.keys})
				if err != nil {
					t.Fatal(err)
				}
				if err := enqueue(p); err != nil {
					t.Fatal(err)
				}
				sealed, err := p.ledger.Sealed(t.Context(), p.TokenID(call.Token))
				if err != nil {
					t.Fatal(err)
				}
				if by, ok := vault.SealedBy([]byte(sealed)); !ok || by != step.by {
					t.Errorf("the token is sealed by %q, want %q", by, step.by)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
