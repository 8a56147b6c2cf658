// Package redisconn opens Redis from a URL, and holds what every client of it needs to know: whether it restarted,
// whether replicas have a write, whether an error passes, and what it means in words that a person can act on.
//
// The URLs:
//
//	redis://[user:password@]host[:6379][/db]                   also rediss://, over TLS
//	unix://[user:password@]/path/to/socket[?db=N]
//	redis-sentinel://[user:password@]h[:26379],h/master[/db]   also rediss-sentinel://
//	redis-cluster://[user:password@]h[:6379],h                 also rediss-cluster://
//
// User and password are percent-encoded, and are those of the data nodes. The parameters are db, pool_size,
// dial_timeout, read_timeout, write_timeout (as Go writes durations, or whole seconds), client_name, skip_verify (TLS
// without a look at the certificate: for tests) and, for Sentinel, sentinel_username and sentinel_password. CheckURL
// refuses all that Open would. No error of this package holds a password.
//
// # Restarts
//
// A RestartWatch looks at each new connection before its first command. For each node it knows one of these states:
//
//	not seen ──▶ seen: run_id, role ──▶ another run_id: Change ──▶ seen
//
// A connection on which INFO fails is not used; a Redis that hides its run_id is a *BlindError. The engine decides what
// a change means for grants.
//
// # Acknowledgements
//
// With Acks, a write under the context of Acknowledged returns after WAIT_REPLICAS replicas have it, and all that had
// one within the last 10 s. The wait takes 500 ms at most. If that is too short, the write was still made: the
// *NotReplicatedError comes with its reply, and asking again is safe only for scripts that know their own work.
//
// # Pipelines and joint scripts
//
// A client that is Pipelined sends scripts that are run at the same time together, and joins those that are Joint into
// one execution. Each keeps its own reply and error. If one of several fails, it alone is sent again. If a connection
// breaks, all scripts on it fail: nobody knows whether they ran. A client of a cluster sends each script alone.
//
// # Failures
//
// After an error that passes (a start, a failover, moved hash slots), a client of MakePatient repeats the command for
// 20 s; every client of a cluster does so for a slot that is being moved. Full recognizes a Redis without memory, and
// Broken a command that failed by itself. Preflight asks each master, with commands that change nothing, what its ACL
// and its settings allow. It passes over what a managed Redis does not tell; a right that is missing is a Finding that
// names the ACL SETUSER that grants it.
package redisconn
