package guard

import "context"

// Principal is who asks.
type Principal struct {
	// Name is the name of the key, or "local" where there are none.
	Name string
	// CanWrite says whether it may change anything.
	CanWrite bool
}

type contextKey struct{}

// From returns who asks, as the Guard put it into the request's context. The zero
// Principal, which may not write, is nobody.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}

// With returns a context of a request that the principal makes.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}
