// Package redisconn opens Redis from a URL, watches it for restarts, and says
// what is wrong with it in words that a person can act on.
//
// The URLs:
//
//	redis://[user:password@]host[:6379][/db]
//	rediss://...                                          the same over TLS
//	unix://[user:password@]/path/to/socket[?db=N]
//	redis-sentinel://[user:password@]h[:26379],h/master[/db]   also rediss-sentinel://
//	redis-cluster://[user:password@]h[:6379],h                 also rediss-cluster://
//
// User and password are percent-encoded, and are those of the data nodes. The
// parameters are db, pool_size, dial_timeout, read_timeout, write_timeout (as Go
// writes durations, or whole seconds), client_name, skip_verify (TLS without a
// look at the certificate: for tests) and, for Sentinel, sentinel_username and
// sentinel_password.
//
// No error of this package holds a password.
package redisconn
