package control

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// MaxPage is the most items that a page may have. The caller checks that the limit of a page is from 1 to MaxPage.
const MaxPage = 1000

// maxLooked is how many calls one page looks at: with a filter that few calls pass, a
// page may have fewer than were asked for, and still a next one.
const maxLooked = 50_000

// ErrCursor says that a text can't be the cursor of such a page.
var ErrCursor = errors.New("not a cursor of this list: take it as the answer before gave it, or leave it out")

// Page is a part of a list.
type Page[T any] struct {
	// Items may be fewer than were asked for, or none, though there is a next page.
	Items []T
	// Next is the cursor of the page after this one; "": this is the last one.
	Next string
	// Unread is how many parts of the ledger could not be read: what they have is not among Items.
	Unread int
}

// CallsQuery says which calls of a batch are wanted.
type CallsQuery struct {
	Cursor string // Next of the page before; "": the first page
	Limit  int    // 1 to MaxPage
	State  string // a call's state; "" all
	Ref    string // what the ref has in it, whatever the case; "" all
}

// Wants reports whether a call passes State and Ref.
func (q CallsQuery) Wants(c CallRecord) bool {
	return (q.State == "" || string(c.State) == q.State) &&
		(q.Ref == "" || strings.Contains(strings.ToLower(c.Ref), strings.ToLower(q.Ref)))
}

// States are the states that a call can have.
func States() []string {
	return []string{string(ledger.StateQueued), string(ledger.StateRunning), string(ledger.StateWaiting),
		string(ledger.StateSucceeded), string(ledger.StateFailed), string(ledger.StateSkipped), string(ledger.StateCancelled)}
}

// CallsPage returns a part of a batch's calls, in no order that means anything. A call
// that is there all the time is on one page; while the batch grows, it may be on two. The
// error is ErrCursor for a cursor that can't be one, or an *UnknownError.
func (o *Control) CallsPage(ctx context.Context, batchName string, q CallsQuery) (Page[CallRecord], error) {
	var page Page[CallRecord]
	list := fmt.Sprintf("calls %q", []string{batchName, q.State, q.Ref})
	at, err := parseCallsCursor(q.Cursor, list)
	if err != nil {
		return page, err
	}
	m, tags, err := o.batch(ctx, batchName)
	if err != nil {
		return page, err
	}
	looked, window := 0, 1
	for {
		steps, rest := at.steps(tags, window)
		if len(steps) == 0 {
			return page, nil
		}
		if ledger.TagIndex(steps[0].Tag) != at.bucket {
			at.after = ""
		}
		window = min(2*window, 32)
		found, err := o.ledger.ScanCalls(ctx, m.ID, steps)
		if !redisconn.Partly(err) {
			return page, fmt.Errorf("calls of batch %q: %w", m.Name, err)
		}
		page.Unread += Unread(err)
		for i, step := range found {
			here := callsCursor{bucket: ledger.TagIndex(steps[i].Tag), scan: steps[i].Cursor, after: at.after}
			at.after = ""
			for _, c := range step.Calls {
				if c.Field() <= here.after {
					continue
				}
				if len(page.Items) == q.Limit || looked == maxLooked {
					page.Next = here.in(list)
					return page, nil
				}
				here.after = c.Field()
				looked++
				if r := c; q.Wants(r) {
					page.Items = append(page.Items, r)
				}
			}
			if step.Next != 0 {
				// The steps behind this one come again later.
				rest, window = callsCursor{bucket: here.bucket, scan: step.Next}, 1
				break
			}
		}
		at = rest
	}
}

// each passes the items of a list after a place to yield, until yield returns false. If Unread(err) > 0, these are the
// items that could be read.
type each[T any] func(ctx context.Context, after string, yield func(T) bool) error

// stream yields the whole list. An error comes last.
func (list each[T]) stream(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		more := true
		err := list(ctx, "", func(v T) bool {
			more = yield(v, nil)
			return more
		})
		if err != nil && more {
			yield(*new(T), err)
		}
	}
}

// page returns the part of the list after a cursor, which is of the list of this name. place returns an item's place.
func (list each[T]) page(ctx context.Context, name, cursor string, limit int, place func(T) string) (p Page[T], err error) {
	after, err := parsePlace(cursor, name)
	if err != nil {
		return p, err
	}
	err = list(ctx, after, func(v T) bool {
		if len(p.Items) == limit {
			p.Next = encodePlace(name, place(p.Items[limit-1]))
			return false
		}
		p.Items = append(p.Items, v)
		return true
	})
	p.Unread, err = SplitUnread(err)
	return p, err
}

// BatchesPage returns a part of the batches' counts, the newest first. Unread also counts batches
// that could not be read at all. The error is ErrCursor for a cursor that can't be one.
func (o *Control) BatchesPage(ctx context.Context, cursor string, limit int) (Page[Status], error) {
	return each[Status](o.eachBatch).page(ctx, "batches", cursor, limit, func(s Status) string {
		return batchPlace(s.CreatedAt.Time, ledger.BatchID(s.Batch))
	})
}

// ChainsPage returns a part of what Chains streams, by chain. The error is ErrCursor for a
// cursor that can't be one.
func (o *Control) ChainsPage(ctx context.Context, heldOnly bool, cursor string, limit int) (Page[Chain], error) {
	return o.eachChain(heldOnly).page(ctx, fmt.Sprint("chains ", heldOnly), cursor, limit, func(c Chain) string { return c.ID })
}

// Chain returns a chain that has something to do, or ErrNoChain.
func (o *Control) Chain(ctx context.Context, id string) (Chain, error) {
	if _, err := (Selection{Chain: id}).Check(); err != nil {
		return Chain{}, err
	}
	c, ok, err := o.ledger.ChainByID(ctx, id)
	if err != nil {
		return Chain{}, fmt.Errorf("chain %s: %w", id, err)
	}
	if !ok {
		return Chain{}, &UnknownError{ErrNoChain, id}
	}
	return forPeople(c), nil
}

// QuotaPage returns a part of what Quota returns, by token_id. The error is ErrCursor for a
// cursor that can't be one.
func (o *Control) QuotaPage(ctx context.Context, cursor string, limit int) (Page[QuotaRow], error) {
	var page Page[QuotaRow]
	after, err := parsePlace(cursor, "tokens")
	if err != nil {
		return page, err
	}
	tokens, unread := o.tokens(ctx)
	if !redisconn.Partly(unread) {
		return page, unread
	}
	from, found := slices.BinarySearch(tokens, after)
	if found {
		from++
	}
	tokens = tokens[from:]
	if len(tokens) > limit {
		tokens = tokens[:limit]
		page.Next = encodePlace("tokens", tokens[limit-1])
	}
	if page.Items, err = o.QuotaOf(ctx, tokens); !redisconn.Partly(err) {
		return page, err
	}
	page.Unread = Unread(errors.Join(unread, err))
	return page, nil
}

// PageOf returns a part of a list in memory. Its cursor is the number of items before it. The error is ErrCursor for a
// cursor that can't be one.
func PageOf[T any](all []T, cursor string, limit int) (page Page[T], err error) {
	skip, err := strconv.Atoi(cmp.Or(cursor, "0"))
	if err != nil || skip < 0 {
		return page, ErrCursor
	}
	all = all[min(skip, len(all)):]
	page.Items = all[:min(limit, len(all))]
	if len(all) > limit {
		page.Next = strconv.Itoa(skip + limit)
	}
	return page, nil
}

// Any other cursor is base64url of a digest of its list's name and filters, and a place in it. It is opaque to
// clients, and checked when it comes back, since a client may send anything.

const maxCursor = 1024 // bytes

func encodePlace(list, place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(digest(list) + place))
}

func digest(list string) string {
	sum := sha256.Sum256([]byte(list))
	return string(sum[:6])
}

// parsePlace returns the place; without a cursor it is "".
func parsePlace(cursor, list string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	place, ok := strings.CutPrefix(string(b), digest(list))
	if len(cursor) > maxCursor || err != nil || !ok || place == "" {
		return "", ErrCursor
	}
	return place, nil
}

// callsCursor is a place among a batch's calls: a step of the scan of a bucket, and the
// last call of it that was seen.
type callsCursor struct {
	bucket int
	scan   uint64
	after  string
}

func (c callsCursor) in(list string) string {
	return encodePlace(list, strconv.Itoa(c.bucket)+":"+strconv.FormatUint(c.scan, 10)+":"+c.after)
}

func parseCallsCursor(cursor, list string) (callsCursor, error) {
	place, err := parsePlace(cursor, list)
	if place == "" {
		return callsCursor{}, err
	}
	part := strings.SplitN(place, ":", 3)
	if len(part) != 3 {
		return callsCursor{}, ErrCursor
	}
	bucket, err := strconv.Atoi(part[0])
	scan, err2 := strconv.ParseUint(part[1], 10, 64)
	if err != nil || err2 != nil || bucket < 0 || bucket >= ledger.Buckets {
		return callsCursor{}, ErrCursor
	}
	return callsCursor{bucket: bucket, scan: scan, after: part[2]}, nil
}

// steps returns the next steps of the scan over the buckets of tags, at most n, and where the
// scan stands after them if each is its bucket's last.
func (c callsCursor) steps(tags []string, n int) (steps []ledger.Position, rest callsCursor) {
	for _, tag := range tags {
		i := ledger.TagIndex(tag)
		switch {
		case i < c.bucket:
			continue
		case len(steps) == n:
			return steps, callsCursor{bucket: i}
		case i == c.bucket:
			steps = append(steps, ledger.Position{Tag: tag, Cursor: c.scan})
		default:
			steps = append(steps, ledger.Position{Tag: tag})
		}
	}
	return steps, callsCursor{bucket: ledger.Buckets}
}
