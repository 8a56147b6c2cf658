package wal

import "os"

// allocated is a file of which room is got before it is used.
type allocated struct{ *os.File }

func (f allocated) Allocate(from, to int64) error {
	done, err := preallocate(f.File, from, to)
	if done || err != nil {
		return err
	}
	return pad(f, from, to)
}

// pad gets room by writing zeros, which records then overwrite, and syncs them: some file
// systems (NFS) say only then that they are full. A file system that never writes in place
// may still refuse later; those that Linux has can preallocate.
func pad(d Disk, from, to int64) error {
	zeros := make([]byte, 64<<10)
	for from < to {
		n, err := d.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return d.Sync()
}
