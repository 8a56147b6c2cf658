// Package wal keeps records in a file, the write-ahead log, that survives crashes of the process (kill -9)
// and of the machine.
//
// # Guarantees
//
//   - What Sync returned nil for is found by every later Open, whatever crashes.
//   - What Append returned nil for is found unless the machine itself crashed before the
//     next Sync. Records come back in the order of Append; none is found without all
//     those before it.
//   - One process has the file at a time: others get ErrLocked.
//   - A last record that was cut off is recognised by its checksum and dropped. So are
//     records after one that the disk never got. If a record is damaged, and a later one says
//     that it was on the disk, the error is a *DamageError, and nothing is changed.
//   - If a sync fails, the file reports nothing more as on the disk, and Append and Sync
//     keep failing. Nobody knows what the disk holds until it is read again.
//   - What AppendReserving reserved room for is written by AppendReserved, however full
//     the disk is by then.
//
// # Room
//
// Room is allocated before it is used: by preallocation (fallocate, which leaves the file's
// size alone) or, if the file system can't do that, by zeros, which records overwrite. Close
// gives back what was not used. A file system that copies what it overwrites and can't
// preallocate can't promise room; on Linux, ZFS is one.
//
// # Form
//
// A record is a line: the CRC-32C of what follows as 8 hex digits, a plus sign, how many
// bytes of the file were on the disk when it was written, in hex, a space, and the text,
// which has no line break. (The first version wrote the CRC of the text, a space, and the
// text; such records are read.) The file has mode 0600.
//
// # Cost
//
// One fsync serves everyone who waits: while it runs, more records are appended, and the
// next one syncs them together.
package wal
