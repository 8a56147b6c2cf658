package apitest

import (
	"bytes"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/web/api"
	"habilita/internal/web/guard"

	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/vault"
)

// Served is the API on a miniredis, with no worker behind it.
type Served struct {
	URL      string
	Redis    *miniredis.Miniredis
	Client   redis.UniversalClient
	Ledger   *ledger.Ledger
	API      *api.API
	Control  *control.Control
	Producer *engine.Producer
	Log      *bytes.Buffer
}

// Start serves the API until the test ends, for callers with these API keys.
func Start(t testing.TB, apiKeys string) *Served {
	t.Helper()
	s := &Served{Redis: miniredis.RunT(t), Log: &bytes.Buffer{}}
	s.Client = redis.NewClient(&redis.Options{Addr: s.Redis.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = s.Client.Close() })
	key, err := vault.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	if s.Producer, err = engine.NewProducer(t.Context(), s.Client, engine.Options{Keys: key}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Producer.Close() })
	if s.Control, err = control.Open(s.Client, "", quota.Settings{}); err != nil {
		t.Fatal(err)
	}
	limiter, err := quota.New(s.Client, quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	s.Ledger = ledger.New(s.Client, ledger.Options{MaxAttempts: 3, Admission: ledger.Admission{
		Library: quota.Library(), Args: func() []any { return limiter.Settings().Args(limiter.Now(), 0, false) },
	}})
	s.API = api.New(api.Options{
		MaxBatch: 1 << 20, Redis: s.Client, Producer: s.Producer, Control: s.Control,
		Registry: membership.New(s.Client, "habilita"), Log: zerolog.New(zerolog.SyncWriter(s.Log)),
	})
	keys, err := guard.ParseKeys(apiKeys)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := guard.New(keys, "0.0.0.0:1", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(guard.Wrap(s.API))
	server.Config.ReadTimeout = 2 * time.Second // a body that is slower is cut off
	server.Config.ReadHeaderTimeout, server.Config.IdleTimeout = time.Minute, time.Minute
	server.Start()
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}
