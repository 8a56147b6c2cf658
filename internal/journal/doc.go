// Package journal keeps records in a file that outlives crashes: of the process (kill -9)
// and of the machine.
//
// # Guarantees
//
//   - What Sync returned nil for is found by every later Open, whatever crashes.
//   - What Append returned nil for is found unless the machine itself crashed before the
//     next Sync. Records come back in the order of Append; none is found without all
//     those before it.
//   - One process has the file at a time: others get ErrLocked.
//   - A last record that was cut off is recognised by its checksum and dropped; damage
//     before the last record is a *DamageError and changes nothing.
//   - After a write or sync that failed, nothing is written any more, and Append and Sync
//     go on failing: what the disk holds then is not known before it is read again.
//
// # Form
//
// A record is a line: the CRC-32C of the text as 8 hex digits, a space, and the text,
// which has no line break. The file has mode 0600.
//
// # Cost
//
// One fsync serves all that wait: while one runs, others are appended, and the next one
// syncs them together.
package journal
