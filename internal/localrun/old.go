package localrun

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"habilita/internal/ledger"
)

// OldError says that FILE was changed, whose job an older version began: that one knew rows by
// their place, so nobody can tell which of its calls a row of another file is.
type OldError struct{ File string }

func (e *OldError) Error() string {
	return fmt.Sprintf("the job of %s was begun by an older version, which knew rows by their place in the file: "+
		"it goes on to its end with the file as it was, and takes no more rows. Put the file back as it was; "+
		"give new and corrected rows in a file of another name", e.File)
}

// unchanged reports whether FILE holds what it held.
func unchanged(file string, before content) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n == before.Size && hex.EncodeToString(h.Sum(nil)) == before.SHA256, err
}

// places gives rows without ids the keys that an older version gave them: their places in
// their chains.
type places map[string]int

func (p places) row(n *ledger.NewCall) bool {
	n.Withhold = false // that version withheld nothing
	if strings.HasPrefix(n.Key, ledger.GivenKey("")) {
		return true
	}
	id := ledger.ChainID(n.Token, n.Chain)
	n.Key = "-" + strconv.Itoa(p[id])
	if n.Chain != "" {
		n.Key = "-" + n.Chain + "#" + strconv.Itoa(p[id])
	}
	p[id]++
	return true
}
