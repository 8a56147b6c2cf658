package engine

import (
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"habilita/internal/testkit/redistest"
)

// Workers and producers refuse, by name, what a later version wrote. An older version's ledger has no version, and
// gets this one.
func TestLedgerOfALaterVersionIsRefused(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		url, key := b.URL, testKey(t)
		_ = openWorld(t, url, key, nil).Close()
		if got := b.Client.Get(t.Context(), "habilita:format:{habilita:naming}").Val(); got != "1" {
			t.Errorf("a new ledger has the format %q", got)
		}
		b.Client.Del(t.Context(), "habilita:format:{habilita:naming}")
		_ = openWorld(t, url, key, nil).Close()
		b.Client.Set(t.Context(), "habilita:format:{habilita:naming}", "2", 0)
		_, asWorker := NewWorker(t.Context(), WorkerOptions{Options: Options{Keys: key}, RedisURL: url, Log: zerolog.Nop()})
		_, asProducer := NewProducer(t.Context(), b.Client, Options{Keys: key})
		for who, err := range map[string]error{"worker": asWorker, "producer": asProducer} {
			if err == nil || !strings.Contains(err.Error(), "later version of habilita (habilita:format:{habilita:naming} is format 2") {
				t.Errorf("%s: %v", who, err)
			}
		}
	})
}
