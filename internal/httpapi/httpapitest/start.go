package httpapitest

import (
	"bytes"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/access"
	"habilita/internal/actionlog"
	"habilita/internal/agreement"
	"habilita/internal/chain"
	"habilita/internal/httpapi"
	"habilita/internal/operator"
	"habilita/internal/vault"
	"habilita/quota"
	"habilita/tasks"
)

// Served is the API on a miniredis, with no worker behind it.
type Served struct {
	URL      string
	Redis    *miniredis.Miniredis
	Client   redis.UniversalClient
	Ledger   *chain.Ledger
	API      *httpapi.API
	Operator *operator.Operator
	Producer httpapi.Producer
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
	producer, err := tasks.NewProducer(t.Context(), s.Client, tasks.Options{Keys: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	s.Producer = producer
	if s.Operator, err = operator.Open(s.Client, "", quota.Settings{}); err != nil {
		t.Fatal(err)
	}
	limiter, err := quota.New(s.Client, quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	s.Ledger = chain.New(s.Client, chain.Options{MaxAttempts: 3, Admission: chain.Admission{
		Library: quota.Library(), Args: func() []any { return limiter.Settings().Args(limiter.Now(), time.Time{}) },
	}})
	s.API = httpapi.New(httpapi.Options{
		MaxBatch: 1 << 20, Redis: s.Client, Producer: producer, Operator: s.Operator, Actions: actionlog.New(s.Client, "habilita"),
		Registry: agreement.New(s.Client, "habilita"), Log: zerolog.New(zerolog.SyncWriter(s.Log)),
	})
	keys, err := access.ParseKeys(apiKeys)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := access.New(keys, "0.0.0.0:1", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(guard.Wrap(s.API))
	server.Config.ReadTimeout = 2 * time.Second // a body that is slower is cut off
	server.Start()
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}
