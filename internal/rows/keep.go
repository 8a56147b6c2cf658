package rows

import (
	"io"
	"os"
)

// Keep copies what can be read only once into a file, so that it can be read twice. The file has mode 0600, because rows
// have tokens, and no name any more, so that none is left behind. It is at its start. Drop it. An error of the file is
// an *fs.PathError; others are those of from.
func Keep(from io.Reader) (f *os.File, size int64, err error) {
	if f, err = os.CreateTemp("", "habilita-*"); err != nil {
		return nil, 0, err
	}
	_ = os.Remove(f.Name())
	if size, err = io.Copy(f, from); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		Drop(f)
		return nil, 0, err
	}
	return f, size, nil
}

// Drop closes a file of Keep, and removes it from systems that refuse that while it is open.
func Drop(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
