package redisconn

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ErrNotCopied says that a client can't be copied: it is of Sentinels, of a ring, or of a kind
// that is not known. What go-redis knows of a failover stays within the client that it made.
var ErrNotCopied = errors.New("a Redis client for Sentinel (or a ring) can't be copied, and the worker needs connections of its own: give it the Redis URL, such as redis-sentinel://host:26379/master")

// sentinelAddr is the address that go-redis gives a client of Sentinels.
const sentinelAddr = "FailoverClient"

// Like makes a client of the same Redis as c, with the same credentials, TLS and dialer, and
// with options of its own (Dialer aside). It needs no URL. Hooks are not copied.
func Like(c redis.UniversalClient, o Options) (redis.UniversalClient, error) {
	var made redis.UniversalClient
	switch c := c.(type) {
	case *redis.Client:
		if c.Options().Addr == sentinelAddr {
			return nil, ErrNotCopied
		}
		made = redis.NewClient(likeClient(c.Options(), o))
	case *redis.ClusterClient:
		if c.Options().ClusterSlots != nil { // Sentinels again, or nodes that are listed by hand
			return nil, ErrNotCopied
		}
		made = redis.NewClusterClient(watchNodes(likeCluster(c.Options(), o), o.Watch))
	default:
		return nil, ErrNotCopied
	}
	bearMoves(made)
	if o.Detach {
		made.AddHook(DetachHook{})
	}
	return made, nil
}

func likeClient(c *redis.Options, o Options) *redis.Options {
	return &redis.Options{
		Network: c.Network, Addr: c.Addr, Dialer: c.Dialer, DB: c.DB, Protocol: c.Protocol, TLSConfig: c.TLSConfig,
		Username: c.Username, Password: c.Password, CredentialsProvider: c.CredentialsProvider,
		CredentialsProviderContext: c.CredentialsProviderContext, StreamingCredentialsProvider: c.StreamingCredentialsProvider,
		ClientName: cmp.Or(c.ClientName, "habilita"), PoolSize: max(c.PoolSize, o.PoolSize), MaxRetries: o.MaxRetries,
		DialTimeout: cmp.Or(o.DialTimeout, c.DialTimeout), ReadTimeout: cmp.Or(o.ReadTimeout, c.ReadTimeout),
		WriteTimeout: cmp.Or(o.WriteTimeout, o.ReadTimeout, c.WriteTimeout), DialerRetries: 1, DialerRetryTimeout: time.Millisecond,
		OnConnect:                both(c.OnConnect, o.Watch.onConnect(TheNode)),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func likeCluster(c *redis.ClusterOptions, o Options) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs: c.Addrs, Dialer: c.Dialer, Protocol: c.Protocol, TLSConfig: c.TLSConfig,
		Username: c.Username, Password: c.Password, CredentialsProvider: c.CredentialsProvider,
		CredentialsProviderContext: c.CredentialsProviderContext, StreamingCredentialsProvider: c.StreamingCredentialsProvider,
		ClientName: cmp.Or(c.ClientName, "habilita"), PoolSize: max(c.PoolSize, o.PoolSize), MaxRetries: o.MaxRetries,
		DialTimeout: cmp.Or(o.DialTimeout, c.DialTimeout), ReadTimeout: cmp.Or(o.ReadTimeout, c.ReadTimeout),
		WriteTimeout: cmp.Or(o.WriteTimeout, o.ReadTimeout, c.WriteTimeout), DialerRetries: 1, DialerRetryTimeout: time.Millisecond,
		OnConnect: c.OnConnect, NewClient: c.NewClient,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
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
