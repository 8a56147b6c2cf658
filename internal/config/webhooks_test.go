package config_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"habilita/internal/config"
)

func TestWebhookSettings(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 24)))
	short := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 23)))
	for name, c := range map[string]struct {
		url, secrets, events string
		says                 string // "" it is good
	}{
		"one":                      {url: "https://h.example/hook?k=1", secrets: secret},
		"several":                  {url: "https://h.example/a, http://127.0.0.1:9/b,http://[::1]/c,http://localhost:9", secrets: secret + ", " + secret, events: "batch.settled, server.up"},
		"none":                     {},
		"http elsewhere":           {url: "https://h.example,http://h.example/", secrets: secret, says: "address 2 of 2"},
		"http at a name like ours": {url: "http://localhost.example", secrets: secret, says: "address 1 of 1"},
		"with a user":              {url: "https://u:p@h.example/", secrets: secret, says: "address 1 of 1"},
		"another scheme":           {url: "ftp://h.example/", secrets: secret, says: "address 1 of 1"},
		"an empty one":             {url: "https://h.example/,", secrets: secret, says: "address 2 of 2"},
		"twice":                    {url: "https://h.example/,https://h.example/", secrets: secret, says: "twice"},
		"no secret":                {url: "https://h.example/", says: "keygen --webhook"},
		"a short secret":           {url: "https://h.example/", secrets: secret + "," + short, says: "secret 2 of 2"},
		"no base64":                {url: "https://h.example/", secrets: "whsec_!", says: "secret 1 of 1"},
		"without its beginning":    {url: "https://h.example/", secrets: strings.TrimPrefix(secret, "whsec_"), says: "secret 1 of 1"},
		"an unknown event":         {url: "https://h.example/", secrets: secret, events: "batch.settled,batch.made", says: "want some of"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"WEBHOOK_URL": c.url, "WEBHOOK_SECRETS": c.secrets, "WEBHOOK_EVENTS": c.events}
			_, err := config.Load(pflag.NewFlagSet("none", pflag.ContinueOnError), func(name string) string { return env[name] }, config.Webhooks)
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			for _, hidden := range []string{secret[6:], short[6:], "u:p@"} {
				if strings.Contains(err.Error(), hidden) {
					t.Errorf("it shows a secret: %v", err)
				}
			}
		})
	}
}
