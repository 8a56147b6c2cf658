package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/version"
)

const (
	sendTimeout = 15 * time.Second // of a request
	sendLease   = 45 * time.Second // sendTimeout, and time to say what became of it
	sendPlaces  = 8                // requests to a receiver at once, of one worker
	takeEvery   = time.Second
	readAnswer  = 4 << 10         // bytes of an answer that are read, for the connection to be used again
	lastAnswer  = time.Second     // for the answers to requests in flight when the worker stops
	lastWords   = 2 * time.Second // to note an outcome
)

// Sender sends what is in the outbox to its receivers. A receiver that hangs holds up only its own sendPlaces
// requests.
type Sender struct {
	outbox    *Outbox
	receivers []Receiver
	signer    *Signer
	client    *http.Client
	metrics   *metrics
	log       zerolog.Logger
}

func newSender(o *Outbox, receivers []Receiver, signer *Signer, m *metrics, log zerolog.Logger) *Sender {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck,forcetypeassert // it is one
	transport.MaxIdleConnsPerHost = sendPlaces
	return &Sender{outbox: o, receivers: receivers, signer: signer, metrics: m, log: log, client: &http.Client{
		Transport: transport, Timeout: sendTimeout,
		// No redirects: what was signed for one receiver is not for another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// run sends until ctx ends. Requests in flight have lastAnswer to end then; what is cut off is given back.
func (s *Sender) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, r := range s.receivers {
		all.Go(func() { s.serve(ctx, r) })
	}
	all.Wait()
	s.client.CloseIdleConnections()
}

// serve sends to one receiver.
func (s *Sender) serve(ctx context.Context, r Receiver) {
	places := make(chan struct{}, sendPlaces)
	var sending sync.WaitGroup
	defer sending.Wait()
	for failed := false; ctx.Err() == nil; {
		select { // a place first: what is taken is sent at once
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		taken, err := s.outbox.take(ctx, r.ID, sendLease, rand.Text())
		if err != nil && !failed && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("webhooks that are due can't be read; trying again")
		}
		failed = err != nil
		if taken == nil {
			<-places
			pause(ctx, takeEvery)
			continue
		}
		sending.Go(func() {
			defer func() { <-places }()
			s.deliver(ctx, r, *taken)
		})
	}
}

func (s *Sender) deliver(ctx context.Context, r Receiver, d delivery) {
	result, why := resultDelivered, ""
	if err := s.post(ctx, r, d); err != nil {
		result, why = resultFailed, err.Error()
		if ctx.Err() != nil {
			result = resultBack
		}
	}
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	became, err := s.outbox.done(noting, d, result, why)
	if err != nil {
		s.log.Warn().Err(err).Str("event", d.id).Msg("what became of a webhook can't be noted: it is sent again")
		return
	}
	switch became {
	case resultDelivered, resultFailed, resultGivenUp:
		s.metrics.results.WithLabelValues(became).Inc()
	}
	switch {
	case became == resultGivenUp:
		s.log.Error().Str("event", d.id).Str("receiver", r.ID).Str("origin", r.Origin).Int("tries", d.tries).Str("error", why).
			Msg("a webhook was given up: its receiver did not take it")
	case became == resultFailed && d.tries == 1:
		s.log.Warn().Str("event", d.id).Str("receiver", r.ID).Str("origin", r.Origin).Str("error", why).
			Msg("a webhook was not taken; it is sent again")
	}
}

// post sends a delivery. An error says what went wrong, without the address, which may hold a secret.
func (s *Sender) post(ctx context.Context, r Receiver, d delivery) error {
	sending, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastAnswer, cut) })()
	req, err := http.NewRequestWithContext(sending, http.MethodPost, r.address, bytes.NewReader(d.body))
	if err != nil {
		return errors.New("the address can't be asked")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "habilita/"+version.String())
	if err := s.signer.sign(req.Header, d.id, time.Now(), d.body); err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
			return fmt.Errorf("no answer within %v", sendTimeout)
		}
		if said, ok := errors.AsType[*url.Error](err); ok {
			err = said.Err
		}
		return fmt.Errorf("no connection: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, readAnswer) // what it says does not matter
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
