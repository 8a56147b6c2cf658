package control

import (
	"encoding/base64"
	"strconv"
	"strings"

	"habilita/internal/ledger"
)

// A cursor is base64url of a letter for its list and a place in it. It is opaque to who
// gets it, and checked when it comes back: it may be anything then.

const maxCursor = 1024 // bytes

func encodePlace(list, place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + "1:" + place))
}

// parsePlace returns the place; "" where there is no cursor.
func parsePlace(cursor, list string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	if len(cursor) > maxCursor {
		return "", ErrCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	place, ok := strings.CutPrefix(string(b), list+"1:")
	if err != nil || !ok || place == "" {
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

func (c callsCursor) String() string {
	return encodePlace("k", strconv.Itoa(c.bucket)+":"+strconv.FormatUint(c.scan, 10)+":"+c.after)
}

func parseCallsCursor(cursor string) (callsCursor, error) {
	place, err := parsePlace(cursor, "k")
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

// steps are the next steps of the scan over the buckets of tags, at most n, and where it
// stands after them if each is its bucket's last.
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
