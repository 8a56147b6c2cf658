package webhook

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"habilita/internal/loopback"
	"habilita/internal/vault"
)

// secretPrefix begins a secret, according to the specification.
const secretPrefix = "whsec_"

// Receiver is an address that events are sent to. The zero value is none; see ParseReceivers.
type Receiver struct {
	// ID names it in Redis, in lists and in the log: its address may hold a secret.
	ID string
	// Origin is the part of its address that may be shown, such as https://example.com.
	Origin string
	// Waiting is how many deliveries wait for it; only Outbox.Receivers sets it.
	Waiting int

	address string
}

// ParseReceivers reads addresses, separated by commas or line ends. An error names a wrong one by its number, since it may hold a secret.
func ParseReceivers(list string) ([]Receiver, error) {
	var out []Receiver
	all := vault.Split(list)
	for i, text := range all {
		u, err := url.Parse(text)
		good := err == nil && u.Host != "" && u.User == nil && u.Fragment == "" &&
			(u.Scheme == "https" || u.Scheme == "http" && loopback.Host(u.Host))
		if !good {
			return nil, fmt.Errorf("address %d of %d: want https://host/path, or http:// on this machine, with no user and no #", i+1, len(all))
		}
		if slices.ContainsFunc(out, func(r Receiver) bool { return r.address == text }) {
			return nil, fmt.Errorf("address %d of %d is given twice", i+1, len(all))
		}
		sum := sha256.Sum256([]byte(text))
		out = append(out, Receiver{
			ID:     vault.Lower32.EncodeToString(sum[:])[:10],
			Origin: u.Scheme + "://" + u.Host, address: text,
		})
	}
	return out, nil
}

// GenerateSecret makes a secret of 32 random bytes.
func GenerateSecret() string {
	return secretPrefix + base64.StdEncoding.EncodeToString(vault.NewKey())
}

// Signer signs events with every one of its secrets: while secrets rotate, a receiver may have any of them.
type Signer struct{ keys []*standardwebhooks.Webhook }

// The bounds of a secret, in bytes, according to the specification.
const (
	leastSecret = 24
	mostSecret  = 64
)

// NewSigner reads secrets, separated by commas or line ends. An error names a wrong one by its number, and shows none.
func NewSigner(secrets string) (*Signer, error) {
	s := &Signer{}
	all := vault.Split(secrets)
	for i, text := range all {
		rest, ok := strings.CutPrefix(text, secretPrefix)
		raw, err := base64.StdEncoding.DecodeString(rest)
		if !ok || err != nil || len(raw) < leastSecret || len(raw) > mostSecret {
			return nil, fmt.Errorf("secret %d of %d: want %s and base64 of %d to %d bytes; make one with: enqueue keygen --webhook",
				i+1, len(all), secretPrefix, leastSecret, mostSecret)
		}
		key, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

// sign sets the headers of the specification.
func (s *Signer) sign(h http.Header, id string, at time.Time, body []byte) error {
	var signatures []string
	for _, key := range s.keys {
		text, err := key.Sign(id, at, body)
		if err != nil {
			return err
		}
		signatures = append(signatures, text)
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
