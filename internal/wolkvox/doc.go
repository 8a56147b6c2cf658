// Package wolkvox is a client of the vendor's API that makes one request an
// attempt and never a hidden second one, and that says of every attempt whether
// the vendor can have seen it.
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
// Every connection is wrapped, and lets a request through only while its attempt
// is open: before Request.WriteBy (by the monotonic clock, and by the wall clock
// too, because the first stands still while a machine is suspended), once, and
// on one connection. When an attempt ends, it is closed first and judged after,
// so nothing that net/http still does in the background can reach the wire. What
// remains is the few microseconds between that check and the system call.
//
// net/http goes on to another connection by itself where nothing was written to
// a reused one that turned out to be dead, and so does Do; that is no second
// request. Where something was written it is refused, for every method: net/http
// would send a GET again. On Linux and macOS a reused connection that the peer has
// closed already is found before it is written to.
//
// # When an answer is complete
//
// Its head and the whole body, as framed by Content-Length or chunks, were
// received. A body that is ended by the end of its connection can't be told from
// a cut one (crypto/tls takes an end without close_notify), so that one counts as
// complete only where it holds a whole envelope. Of a body above 64 KiB the
// rest is read and thrown away, to learn whether it ends: up to 8 MiB and as long
// as the time-out allows, and beyond that the outcome is unknown.
//
// # Where requests go
//
// To https://wv{server}.wolkvox.com, or to this machine for tests and rehearsals.
// Proxies of the environment are not used, redirects are not followed, there are
// no cookies, and HTTP/2 is not spoken.
//
// # Secrets
//
// No error, no Answer and no printed Request holds the token, even where the
// vendor echoes it.
package wolkvox
