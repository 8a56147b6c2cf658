package redistest

import (
	"strings"

	"github.com/alicebob/miniredis/v2"
)

// Spoil makes all keys that begin with a prefix refuse the commands that they are for, as those of
// a cluster's node that is away do. Keys of these names behind it are made if there are none.
func Spoil(m *miniredis.Miniredis, prefix string, names ...string) error {
	keys := m.Keys()
	for _, name := range names {
		keys = append(keys, prefix+name)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			m.Del(key)
			if err := m.Set(key, "spoilt"); err != nil {
				return err
			}
		}
	}
	return nil
}
