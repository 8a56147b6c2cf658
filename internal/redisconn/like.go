package redisconn

import (
	"cmp"
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// ErrNotCopied says that a client can't be copied: it is of Sentinels, of a ring, or of a kind
// that is not known. What go-redis knows of a failover stays within the client that it made.
var ErrNotCopied = errors.New("a Redis client for Sentinel (or a ring) can't be copied, and the worker needs connections of its own: give it the Redis URL, such as redis-sentinel://host:26379/master")

// sentinelAddr is the address that go-redis gives a client of Sentinels.
const sentinelAddr = "FailoverClient"

// Like makes a client of the same Redis as c, with the same credentials, TLS and dialer, and
// with options of its own (Dialer aside). It needs no URL. Hooks are not copied.
func Like(c redis.UniversalClient, o Options) (redis.UniversalClient, error) {
	switch c := c.(type) {
	case *redis.Client:
		of := c.Options()
		if of.Addr == sentinelAddr {
			return nil, ErrNotCopied
		}
		u := &redis.UniversalOptions{
			Addrs: []string{of.Addr}, DB: of.DB, Dialer: of.Dialer, OnConnect: of.OnConnect, Protocol: of.Protocol, TLSConfig: of.TLSConfig,
			Username: of.Username, Password: of.Password, CredentialsProvider: of.CredentialsProvider,
			CredentialsProviderContext: of.CredentialsProviderContext, StreamingCredentialsProvider: of.StreamingCredentialsProvider,
			ClientName: of.ClientName, PoolSize: of.PoolSize, DialTimeout: cmp.Or(o.DialTimeout, of.DialTimeout),
			ReadTimeout: cmp.Or(o.ReadTimeout, of.ReadTimeout), WriteTimeout: cmp.Or(o.WriteTimeout, o.ReadTimeout, of.WriteTimeout),
		}
		o.fill(u)
		one := u.Simple()
		one.Network = of.Network
		return o.ready(redis.NewClient(one)), nil
	case *redis.ClusterClient:
		of := c.Options()
		if of.ClusterSlots != nil { // Sentinels again, or nodes that are listed by hand
			return nil, ErrNotCopied
		}
		u := &redis.UniversalOptions{
			Addrs: of.Addrs, Dialer: of.Dialer, Protocol: of.Protocol, TLSConfig: of.TLSConfig,
			Username: of.Username, Password: of.Password, CredentialsProvider: of.CredentialsProvider,
			CredentialsProviderContext: of.CredentialsProviderContext, StreamingCredentialsProvider: of.StreamingCredentialsProvider,
			ClientName: of.ClientName, PoolSize: of.PoolSize, DialTimeout: cmp.Or(o.DialTimeout, of.DialTimeout),
			ReadTimeout: cmp.Or(o.ReadTimeout, of.ReadTimeout), WriteTimeout: cmp.Or(o.WriteTimeout, o.ReadTimeout, of.WriteTimeout),
		}
		o.fill(u)
		several := u.Cluster()
		several.OnConnect, several.NewClient = of.OnConnect, of.NewClient
		return o.ready(redis.NewClusterClient(watchNodes(several, o.Watch))), nil
	}
	return nil, ErrNotCopied
}

// both runs two hooks of a new connection, the first one first; nil is none.
func both(hooks ...func(context.Context, *redis.Conn) error) func(context.Context, *redis.Conn) error {
	return func(ctx context.Context, cn *redis.Conn) error {
		for _, hook := range hooks {
			if hook == nil {
				continue
			}
			if err := hook(ctx, cn); err != nil {
				return err
			}
		}
		return nil
	}
}
