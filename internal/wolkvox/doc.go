// Package wolkvox is a client of the vendor's API. It makes one request per
// attempt, never a hidden second one, and says of every attempt whether the
// vendor can have seen it.
//
// # The ends of an attempt
//
//	Do ──▶ nothing was written ─────────────────────────▶ *NotSentError
//	  └──▶ written ──▶ no answer, or a broken one ──────▶ *UnknownOutcomeError
//	             └──▶ a complete answer ──▶ success ────▶ Answer, nil
//	                        ├──▶ it says no ────────────▶ *RefusedError
//	                        └──▶ it says nothing we read▶ *UnreadableError
//
// An error of [Client.Do] is always one of these four types. After a
// *NotSentError the vendor certainly saw nothing, and never will. After an
// *UnknownOutcomeError it may still be working on the request. The other two,
// like success, are complete answers: the vendor has finished with the request.
//
// # How that is known
//
// One goroutine makes an attempt, over connections of the package's own, because net/http writes and reads
// in the background, and sends a GET again by itself. A request is written once, to one connection, before
// Request.WriteBy (by the monotonic clock, and by the wall clock too, because the first stands still while a
// machine is suspended). What remains is the few microseconds between that check and the system call.
//
// The attempt goes on to another connection only if the one before was an idle one that turned out to be dead, and
// nothing was written to it. On Linux and macOS, the client notices before it writes that the peer has closed an idle
// connection. Where it can't know (other systems, a dialer's connections that are no sockets), it uses no connection
// twice.
//
// # When an answer is complete
//
// An answer is complete when its head and its whole body, as framed by
// Content-Length or chunks, were received. A body that ends with its connection
// can't be told from a cut one (crypto/tls accepts an end without close_notify),
// so it counts as complete only if it holds a whole envelope. The rest of a body
// above 64 KiB is read and thrown away, to learn whether it ends: up to 8 MiB, and
// as long as the time-out allows. Beyond that, the outcome is unknown.
//
// # Where requests go
//
// Requests go to https://wv{server}.wolkvox.com, or to this machine for tests and
// rehearsals. The client uses no proxies of the environment, follows no redirects,
// keeps no cookies, and speaks no HTTP/2.
//
// # Secrets
//
// No error, no Answer and no printed Request holds the token, even if the
// vendor echoes it.
package wolkvox
