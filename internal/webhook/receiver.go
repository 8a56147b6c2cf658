package webhook

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// secretPrefix begins a secret, as the specification has it.
const secretPrefix = "whsec_"

// Receiver is an address that events are sent to. The zero value is none; see ParseReceivers.
type Receiver struct {
	// ID names it in Redis, in lists and in the log: its address may hold a secret.
	ID string
	// Origin is the part of its address that may be shown, such as https://example.com.
	Origin string

	address string
}

// ParseReceivers reads addresses, comma separated; the settings have checked them.
func ParseReceivers(list string) ([]Receiver, error) {
	var out []Receiver
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, errors.New("a receiver's address is no URL") // not shown: it may hold a secret
		}
		sum := sha256.Sum256([]byte(text))
		out = append(out, Receiver{
			ID:     strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:10]),
			Origin: u.Scheme + "://" + u.Host, address: text,
		})
	}
	return out, nil
}

// GenerateSecret makes a secret of 32 random bytes.
func GenerateSecret() string {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// Signer signs events with every one of its secrets: while secrets rotate, a receiver may have any of them.
type Signer struct{ keys []*standardwebhooks.Webhook }

// NewSigner reads secrets, comma separated. An error tells which is wrong by its number, and shows none.
func NewSigner(secrets string) (*Signer, error) {
	s := &Signer{}
	for text := range strings.SplitSeq(secrets, ",") {
		key, err := standardwebhooks.NewWebhook(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("secret %d is no base64: make one with: enqueue keygen --webhook", len(s.keys)+1)
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
