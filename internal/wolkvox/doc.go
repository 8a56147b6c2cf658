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
// An attempt is made by one goroutine, over connections of the package's own: net/http writes and reads
// in the background, and sends a GET again by itself. A request is written once, to one connection, before
// Request.WriteBy (by the monotonic clock, and by the wall clock too, because the first stands still while a
// machine is suspended). What remains is the few microseconds between that check and the system call.
//
// The attempt goes on to another connection only if the one before was an idle one that turned out to be dead, and
// nothing was written to it. On Linux and macOS an idle connection that the peer has closed already is found before it
// is written to. Where that can't be asked (other systems, connections of a dialer that are no sockets) no
// connection is used twice.
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
