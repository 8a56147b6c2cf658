package webhook

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

//go:embed lua/*.lua
var sources embed.FS

var (
	tellScript = redisconn.Alone(sources, "tell")
	takeScript = redisconn.Alone(sources, "take")
	doneScript = redisconn.Alone(sources, "done")
)

const (
	// MaxWaiting is how many deliveries may wait for a receiver. If there are more, the oldest are dropped.
	MaxWaiting = 10_000
	// FirstRetry is the time until the second try; it doubles up to MostRetry.
	FirstRetry = 5 * time.Second
	// MostRetry is the longest time between two tries.
	MostRetry = 15 * time.Minute
	// RetryFor is how long after the event a delivery is tried.
	RetryFor = 24 * time.Hour

	keepReceiver = 48 * time.Hour // its keys, after a worker had it last
	keepLost     = 1000
)

// Outbox is what is to be sent, in Redis. It is safe for concurrent use.
type Outbox struct {
	rdb    redis.UniversalClient
	prefix string
	most   int
}

// NewOutbox returns the outbox of keys that begin with the prefix; "" is "habilita". It sends nothing to Redis.
func NewOutbox(rdb redis.UniversalClient, prefix string) *Outbox {
	return &Outbox{rdb: rdb, prefix: cmp.Or(prefix, "habilita") + ":{webhooks}:", most: MaxWaiting}
}

// Mark is what was told about something: Was is what was read, Now what it becomes. "" is none.
type Mark struct{ Field, Was, Now string }

// Tell changes a mark (with no Field: none) and writes an event (nil: none) for the receivers, in one step. told is
// false if the mark has changed since it was read: nothing was done then. dropped is how many deliveries made room for it.
func (o *Outbox) Tell(ctx context.Context, m Mark, e *Event, receivers []Receiver) (told bool, dropped int, err error) {
	args := []any{m.Field, m.Was, m.Now, o.most, keepReceiver.Milliseconds(), "", "", ""}
	if e != nil {
		body, err := e.body()
		if err != nil {
			return false, 0, err
		}
		args = append(args[:5], e.ID, string(e.Type), body)
		for _, r := range receivers {
			args = append(args, r.ID)
		}
	}
	n, err := tellScript().Run(ctx, o.rdb, []string{o.prefix}, args...).Int64Slice()
	if err != nil {
		return false, 0, fmt.Errorf("webhooks: %w", err)
	}
	return n[0] == 1, int(n[1]), nil
}

// Marks reads all marks. The caller reads them first and then lists what exists: a mark without its thing can go.
func (o *Outbox) Marks(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	scan := o.rdb.HScan(ctx, o.prefix+"told", 0, "", 1000).Iterator()
	for scan.Next(ctx) {
		if field := scan.Val(); scan.Next(ctx) {
			all[field] = scan.Val()
		}
	}
	return all, scan.Err()
}

// Mark reads one mark; "" is none.
func (o *Outbox) Mark(ctx context.Context, field string) (string, error) {
	mark, err := o.rdb.HGet(ctx, o.prefix+"told", field).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return mark, err
}

// delivery is a delivery that was taken to be sent.
type delivery struct {
	receiver, id, nonce string
	tries               int
	body                []byte
}

// take takes the delivery that is due first, under a lease; nil: none is due.
func (o *Outbox) take(ctx context.Context, receiver string, lease time.Duration, nonce string) (*delivery, error) {
	row, err := takeScript().Run(ctx, o.rdb, []string{o.prefix}, receiver, lease.Milliseconds(), nonce, keepReceiver.Milliseconds()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	if len(row) != 3 {
		return nil, nil
	}
	tries, err := strconv.Atoi(row[1])
	return &delivery{receiver, row[0], nonce, tries, []byte(row[2])}, err
}

// What became of a delivery.
const (
	resultDelivered = "delivered"
	resultFailed    = "failed" // it is tried again
	resultBack      = "back"   // it was not tried
	resultGivenUp   = "given_up"
	resultDropped   = "dropped" // too many waited
)

// done notes what became of a delivery, and returns what follows from that.
func (o *Outbox) done(ctx context.Context, d delivery, result, why string) (string, error) {
	return doneScript().Run(ctx, o.rdb, []string{o.prefix}, d.receiver, d.id, d.nonce, result, why,
		FirstRetry.Milliseconds(), MostRetry.Milliseconds(), RetryFor.Milliseconds(), keepLost).Text()
}

// have notes that a worker has these receivers, and forgets those that none had for long.
func (o *Outbox) have(ctx context.Context, all []Receiver, now time.Time) error {
	pipe := o.rdb.Pipeline()
	for _, r := range all {
		pipe.ZAdd(ctx, o.prefix+"receivers", redis.Z{Score: float64(now.UnixMilli()), Member: r.ID + " " + r.Origin})
	}
	pipe.ZRemRangeByScore(ctx, o.prefix+"receivers", "-inf", strconv.FormatInt(now.Add(-keepReceiver).UnixMilli(), 10))
	_, err := pipe.Exec(ctx)
	return err
}

// Receivers returns the receivers that workers have, or had lately, with how many deliveries wait for each.
func (o *Outbox) Receivers(ctx context.Context) ([]Receiver, error) {
	members, err := o.rdb.ZRange(ctx, o.prefix+"receivers", 0, -1).Result()
	if err != nil {
		return nil, err
	}
	out := make([]Receiver, len(members))
	for i, m := range members {
		out[i].ID, out[i].Origin, _ = strings.Cut(m, " ")
		n, err := o.rdb.ZCard(ctx, o.prefix+"due:"+out[i].ID).Result()
		if err != nil {
			return nil, err
		}
		out[i].Waiting = int(n)
	}
	return out, nil
}

// Delivery is an event on its way to a receiver, or one that was given up.
type Delivery struct {
	State    string       `json:"state"` // waiting or given_up
	Event    string       `json:"event"` // its ID
	Type     Type         `json:"type"`
	At       control.Time `json:"at"`       // of the event
	Receiver string       `json:"receiver"` // its ID
	Origin   string       `json:"origin"`   // of the receiver; "" until somebody who knows it says so
	Tries    int          `json:"tries"`
	Error    string       `json:"error"`       // of the last try
	Next     control.Time `json:"next_try_at"` // or the end of the one that is under way; zero: given up
	GaveUp   control.Time `json:"given_up_at"` // zero: it waits
}

// kept is a delivery as the scripts write it.
type kept struct {
	R, ID, T, E, K string
	At, N, Gone    float64
}

// parseDelivery reads what the scripts wrote of a delivery.
func parseDelivery(text, receiver, id string) (Delivery, error) {
	k := kept{R: receiver, ID: id}
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return Delivery{}, fmt.Errorf("webhooks: delivery %s: %w", id, err)
	}
	d := Delivery{State: "waiting", Receiver: k.R, Event: k.ID, Type: Type(k.T), At: millis(k.At), Tries: int(k.N), Error: k.E, GaveUp: millis(k.Gone)}
	if k.Gone != 0 {
		d.State = "given_up"
	}
	return d, nil
}

func millis(ms float64) control.Time { return control.Time{Time: redisconn.Time(int64(ms)).UTC()} }

// Deliveries returns the first deliveries that wait for a receiver, in the order in which they are due.
func (o *Outbox) Deliveries(ctx context.Context, receiver string, most int) ([]Delivery, error) {
	due, err := o.rdb.ZRangeWithScores(ctx, o.prefix+"due:"+receiver, 0, int64(most)-1).Result()
	if err != nil || len(due) == 0 {
		return nil, err
	}
	return o.waiting(ctx, receiver, due...)
}

// Delivery returns one delivery that waits; ok is false if it does not. It does not say when that is due.
func (o *Outbox) Delivery(ctx context.Context, receiver, id string) (d Delivery, ok bool, err error) {
	all, err := o.waiting(ctx, receiver, redis.Z{Member: id})
	if len(all) == 1 {
		d = all[0]
	}
	return d, len(all) == 1, err
}

// waiting returns the deliveries among these that still wait.
func (o *Outbox) waiting(ctx context.Context, receiver string, due ...redis.Z) (out []Delivery, err error) {
	ids := make([]string, len(due))
	for i, z := range due {
		ids[i], _ = z.Member.(string)
	}
	metas, err := o.rdb.HMGet(ctx, o.prefix+"meta:"+receiver, ids...).Result()
	for i, m := range metas {
		text, ok := m.(string)
		if !ok {
			continue // it has just gone
		}
		d, err := parseDelivery(text, receiver, ids[i])
		if err != nil {
			return nil, err
		}
		d.Next = millis(due[i].Score)
		out = append(out, d)
	}
	return out, err
}

// Lost returns the last deliveries that were given up, the latest first.
func (o *Outbox) Lost(ctx context.Context) ([]Delivery, error) {
	texts, err := o.rdb.LRange(ctx, o.prefix+"lost", 0, keepLost-1).Result()
	if err != nil {
		return nil, err
	}
	out := make([]Delivery, len(texts))
	for i, text := range texts {
		if out[i], err = parseDelivery(text, "", fmt.Sprint(i+1, " of those that were given up")); err != nil {
			return nil, err
		}
	}
	return out, nil
}
