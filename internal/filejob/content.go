package filejob

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// ChangedError says that FILE is not what the job began with.
type ChangedError struct{ File, Journal string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s was changed since its job began (rows may be appended at its end, nothing else): put it back as it was, "+
		"or give the new content another name. To begin anew under this name, remove %s; what succeeded is then made again", e.File, e.Journal)
}

// compare reads FILE and tells whether it still begins with what it held before (of
// which Size 0 is nothing): same means that nothing was appended either. The content is
// that of now.
func compare(file string, before content) (now content, same bool, err error) {
	f, err := os.Open(file)
	if err != nil {
		return now, false, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if before.Size > 0 {
		if _, err := io.CopyN(h, f, before.Size); err != nil && !errors.Is(err, io.EOF) {
			return now, false, err
		}
		if sum(h) != before.SHA256 {
			return now, false, &ChangedError{File: file}
		}
	}
	n, err := io.Copy(h, f)
	if err != nil {
		return now, false, err
	}
	now = content{Size: before.Size + n, SHA256: sum(h)}
	if n > 0 && before.Size > 0 {
		// The last row that was there must have ended, or it is another one now.
		edge := make([]byte, 2)
		if _, err := f.ReadAt(edge, before.Size-1); err != nil {
			return now, false, err
		}
		if edge[0] != '\n' && edge[1] != '\n' && edge[1] != '\r' {
			return now, false, &ChangedError{File: file}
		}
	}
	return now, n == 0, nil
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
