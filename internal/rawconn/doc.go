// Package rawconn makes TCP connections that read and write without telling Go's scheduler.
//
// A system call may block. So package net tells the scheduler of each one, and the first one after a moment in which
// the process had nothing to do wakes the runtime's monitor thread. That thread then takes turns with the process on
// the other side, which is to answer. But a socket of package net never blocks. Without all that, a chain's next
// request goes out a tenth sooner (docs/decisions/running.md, 53).
//
// Only Linux has this, on all but 386. Elsewhere, and for a connection that is not TCP, [Of] returns what it was
// given. What it returns on Linux is as safe for concurrent use, has the same deadlines, and returns the same errors.
//
// [Unread] is for those who use an idle connection again. On Linux and macOS it tells whether the peer has closed it.
package rawconn
