package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// ledgerFormat is the version of what stands in Redis. One that older versions can't read, or would spoil,
// has a higher number. A task's payload has a version of its own (payloadVersion).
const ledgerFormat = 1

// LaterVersionError says that a later version of habilita wrote the ledger.
type LaterVersionError struct {
	Key         string // in Redis, that has the version
	Have, Known int    // formats of the ledger, and of this program
}

// Error says what to do.
func (e *LaterVersionError) Error() string {
	return fmt.Sprintf("the calls in Redis were written by a later version of habilita (%s is format %d, and this version knows %d): use that version",
		e.Key, e.Have, e.Known)
}

// checkFormat refuses the ledger of a later version. A ledger without a version is of this one, or older.
func (s *stack) checkFormat(ctx context.Context) error {
	key := s.prefix + ":format:{" + s.keyName() + "}" // a cluster keeps it with the token-ID key
	text, err := s.rdb.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		err := s.rdb.SetArgs(ctx, key, ledgerFormat, redis.SetArgs{Mode: "NX"}).Err()
		if err == nil || errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	have, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s is %q, and no version of the ledger", key, text)
	}
	if have > ledgerFormat {
		return &LaterVersionError{Key: key, Have: have, Known: ledgerFormat}
	}
	return nil
}
