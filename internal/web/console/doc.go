// Package console is the web pages on which people see the work and act on it: batches
// with their calls, chains that are held, tokens, servers, workers, schedules, and the
// log of what people did. Pages are rendered here, complete, from files that are part
// of the binary; nothing is loaded from elsewhere.
//
// # What a page shows
//
// Everything shown is read through package hub, and shared by all who look at the same thing. A decision throws all
// readings away.
//
// # Live updates
//
// With JavaScript a page listens to /events, which tells it that what it shows has changed.
// It then fetches itself again and changes in place what differs. Each listener looks at
// the shared readings again and again. One thing is read for them at most a twentieth of the time:
// what takes long is read less often. There are at most maxListeners; a further one is told so and
// asks now and then. Without JavaScript pages load themselves again every few seconds.
//
// # Who may do what
//
// The request's context says who looks (package guard). People who may only look see no
// buttons, and are refused if they try. A change is a POST that comes from a page of our
// own, after a page that says what will happen. Each is kept in the audit log with who,
// when and the result, even if it failed.
//
// # Languages
//
// English and Spanish, as the browser asks (Accept-Language). All texts are in texts/;
// templates have none of their own. What comes from the vendor or from Redis is shown
// as it is, beside our own words.
//
// # Failures
//
// If Redis does not answer, pages say so, with 503, and load themselves again.
// Listeners are told that Redis is away and, later, that it is back. Close ends all
// listeners at once, so that a server's Shutdown does not wait for them.
package console
