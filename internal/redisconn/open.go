package redisconn

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"habilita/internal/rawconn"
)

// Options are what the program asks of its client. The URL's parameters take
// precedence, but of two pool sizes the larger one is taken.
type Options struct {
	PoolSize     int           // connections to each node; 0: 10 for each CPU
	DialTimeout  time.Duration // 0: 5 s
	ReadTimeout  time.Duration // 0: 5 s
	WriteTimeout time.Duration // 0: ReadTimeout
	MaxRetries   int           // of one command; 0: 3; -1: none
	ClientName   string        // shown by CLIENT LIST; "": "habilita"

	// Dialer makes the connections, TLS included if the URL asks for it; nil: that of
	// go-redis.
	Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	// Watch sees each new connection before it is used; nil: none.
	Watch *RestartWatch
	// Detach adds a DetachHook: for a client that is handed to asynq's server.
	Detach bool
}

// followCluster is how old a client's knowledge of who has which hash slot may be. A master that is
// gone does not tell which node took its place, and go-redis itself would ask once a minute.
const followCluster = time.Second

// QuickRead is the read time-out of a worker if another node may take over. A master that hangs holds up a
// command twice for that long before the client asks who has the hash slot now: both together are below 2 s.
// A producer's groups of calls take longer, and a producer can wait.
const QuickRead = 800 * time.Millisecond

// Open makes a client from a URL (see the package's doc). It does not use the
// network: the first command shows whether Redis answers, and Describe says what its
// error means. The error of a wrong URL does not have its password.
func Open(url string, o Options) (redis.UniversalClient, error) {
	t, err := parse(url)
	if err != nil {
		return nil, err
	}
	u := &t.UniversalOptions
	u.DialTimeout = cmp.Or(u.DialTimeout, o.DialTimeout, 5*time.Second)
	dial := o.Dialer
	if dial == nil {
		dial = redis.NewDialer(&redis.Options{DialTimeout: u.DialTimeout, TLSConfig: u.TLSConfig})
	}
	u.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return rawconn.Of(c), nil
	}
	u.ReadTimeout, u.WriteTimeout = cmp.Or(u.ReadTimeout, o.ReadTimeout), cmp.Or(u.WriteTimeout, o.WriteTimeout)
	o.fill(u)
	switch t.mode {
	case sentinel:
		return o.ready(redis.NewFailoverClient(u.Failover())), nil // Sentinel's own connections are watched too; the watch tells them apart
	case cluster:
		u.OnConnect = nil
		return o.ready(redis.NewClusterClient(watchNodes(u.Cluster(), o.Watch))), nil
	}
	return o.ready(redis.NewClient(u.Simple())), nil
}

// fill sets what every client has. The pool does not repeat dial attempts, since the
// retry of the command does: with five attempts of 5 s in each of four tries, it would
// take minutes to learn that Redis can't be reached.
func (o Options) fill(u *redis.UniversalOptions) {
	u.ClientName = cmp.Or(u.ClientName, o.ClientName, "habilita")
	u.PoolSize = max(u.PoolSize, o.PoolSize)
	u.MaxRetries = o.MaxRetries
	u.DialerRetries, u.DialerRetryTimeout = 1, time.Millisecond
	// Notices of a managed service's maintenance need a handshake command that
	// plain Redis refuses, and nothing here uses them.
	u.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	u.OnConnect = both(u.OnConnect, o.Watch.onConnect(TheNode))
}

// ready adds the client's hooks.
func (o Options) ready(c redis.UniversalClient) redis.UniversalClient {
	if _, ok := c.(*redis.ClusterClient); ok {
		c.AddHook(patience{most: movingFor, passes: moving})
	}
	if o.Detach {
		c.AddHook(DetachHook{})
	}
	return c
}

// watchNodes makes w watch each node of a cluster under its address, and the client follow who has which slot.
func watchNodes(c *redis.ClusterOptions, w *RestartWatch) *redis.ClusterOptions {
	c.ClusterStateReloadInterval = followCluster
	client := c.NewClient
	if client == nil {
		client = redis.NewClient
	}
	c.NewClient = func(node *redis.Options) *redis.Client {
		node.OnConnect = both(node.OnConnect, w.onConnect(node.Addr))
		return client(node)
	}
	return c
}

// DetachHook is a go-redis hook that runs every command and pipeline without the
// caller's cancellation and deadline. The dial, read and write time-outs of the
// client still hold. asynq's server needs it: its syncer repeats a failed
// operation with a context that was cancelled, so it fails for ever and a task
// that succeeded is run again. The zero value is ready.
type DetachHook struct{ PlainHook }

// ProcessHook detaches one command.
func (DetachHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return next(context.WithoutCancel(ctx), cmd)
	}
}

// ProcessPipelineHook detaches a pipeline or transaction.
func (DetachHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return next(context.WithoutCancel(ctx), cmds)
	}
}

// PlainHook is embedded in a hook that changes nothing about dials, which run under the command that dials, or about
// pipelines.
type PlainHook struct{}

// DialHook changes nothing.
func (PlainHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook changes nothing.
func (PlainHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

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

// both returns a hook of a new connection that runs these in order; nil ones are passed over.
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
