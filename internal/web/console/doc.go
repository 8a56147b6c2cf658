// Package console is the web pages on which people see the work and act on it: batches
// with their calls, chains that are held, tokens, servers, workers, schedules, and the
// log of what people did. Pages are rendered here, complete, from files that are part
// of the binary; nothing is loaded from elsewhere.
//
// # What a page shows
//
// All that is shown is read through package hub, and shared by all who look at the same thing. A decision throws all
// readings away.
//
// # Live updates
//
// A page that has JavaScript listens to /events and is told that what it shows has
// changed; it then fetches itself again and changes in place what differs. Each listener looks at
// the shared readings again and again. One thing is read for them at most a twentieth of the time:
// what takes long is read less often. There are at most maxListeners; one more is told so and
// asks now and then. Without JavaScript pages load themselves again every few seconds.
//
// # Who may do what
//
// Who looks comes with the request's context (package guard). Who may only look sees
// no buttons, and is refused where it tries. A change is a POST that comes from a page
// of our own, after a page that says what will happen. Each is kept in the audit log
// with who, when and what came of it, also where it failed.
//
// # Languages
//
// English and Spanish, as the browser asks (Accept-Language). All texts are in texts/;
// templates have none of their own. What comes from the vendor or from Redis is shown
// as it is, beside our own words.
//
// # Failures
//
// Where Redis does not answer, pages say so, with 503, and load themselves again.
// Listeners are told that Redis is away and, later, that it is back. Close ends all
// listeners at once, so that a server's Shutdown does not wait for them.
package console
