package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// namingPurpose is what the naming key is sealed for.
const namingPurpose = "habilita naming key"

// rekeyTries bounds RekeyNamingKey where others rekey at the same time; one of
// them wins each round, so a second try finds the work done.
const rekeyTries = 8

// EnsureNamingKey opens the naming key that rests sealed in Redis under keyName,
// and makes it where there is none. Of processes that do so at the same time one
// wins, and all get its key. It is never replaced: a naming key that can't be
// opened is an error that names the sealing key's id (errors.Is ErrKeyGone, or
// ErrTampered). Redis errors come back wrapped.
func EnsureNamingKey(ctx context.Context, rdb redis.UniversalClient, keyName string, keys *Keys) (*Namer, error) {
	sealed, err := rdb.Get(ctx, keyName).Bytes()
	if errors.Is(err, redis.Nil) {
		sealed, err = makeNamingKey(ctx, rdb, keyName, keys)
	}
	if err != nil {
		return nil, fmt.Errorf("naming key: %w", err)
	}
	plain, err := openNamingKey(sealed, keyName, keys)
	if err != nil {
		return nil, err
	}
	return NewNamer([]byte(plain)), nil
}

// ErrNoNamingKey says that no naming key was made yet.
var ErrNoNamingKey = errors.New("there is no naming key")

// OpenNamingKey is EnsureNamingKey for who only reads: where there is none, it is
// ErrNoNamingKey.
func OpenNamingKey(ctx context.Context, rdb redis.UniversalClient, keyName string, keys *Keys) (*Namer, error) {
	sealed, err := rdb.Get(ctx, keyName).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, ErrNoNamingKey
	}
	if err != nil {
		return nil, fmt.Errorf("naming key: %w", err)
	}
	plain, err := openNamingKey(sealed, keyName, keys)
	if err != nil {
		return nil, err
	}
	return NewNamer([]byte(plain)), nil
}

// makeNamingKey puts a new naming key unless there is one by now, and gives the
// one that stands in Redis in the end.
func makeNamingKey(ctx context.Context, rdb redis.UniversalClient, keyName string, keys *Keys) ([]byte, error) {
	key, err := NewNamingKey()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	sealed, err := keys.Seal(string(key), namingPurpose)
	if err != nil {
		return nil, err
	}
	err = rdb.SetArgs(ctx, keyName, sealed, redis.SetArgs{Mode: "NX"}).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	// Read it back in either case: another process may have won, or the answer
	// to a SET of ours that worked was lost and the client sent it again.
	return rdb.Get(ctx, keyName).Bytes()
}

func openNamingKey(sealed []byte, keyName string, keys *Keys) (string, error) {
	plain, err := keys.Open(sealed, namingPurpose)
	if err == nil && len(plain) != keyBytes {
		err = ErrTampered
	}
	if err == nil {
		return plain, nil
	}
	if id, ok := keys.SealedBy(sealed); ok && errors.Is(err, ErrTampered) {
		return "", fmt.Errorf("naming key %s, sealed under a key named %q: %w "+
			"(is that id's key in HABILITA_KEYS the one that sealed it?)", keyName, id, err)
	}
	return "", fmt.Errorf("naming key %s: %w", keyName, err)
}

// RekeyNamingKey seals the naming key under the first of the keys; its value
// stays, so no token changes its name. changed is false where it was so already.
// It never writes over what another process put there meanwhile. Where there is
// no naming key yet it does nothing.
func RekeyNamingKey(ctx context.Context, rdb redis.UniversalClient, keyName string, keys *Keys) (changed bool, err error) {
	for range rekeyTries {
		err = rdb.Watch(ctx, func(tx *redis.Tx) error {
			changed = false
			sealed, err := tx.Get(ctx, keyName).Bytes()
			if errors.Is(err, redis.Nil) || err == nil && keys.IsCurrent(sealed) {
				return nil
			}
			if err != nil {
				return err
			}
			plain, err := openNamingKey(sealed, keyName, keys)
			if err != nil {
				return err
			}
			fresh, err := keys.Seal(plain, namingPurpose)
			if err != nil {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, keyName, fresh, 0)
				return nil
			})
			changed = err == nil
			return err
		}, keyName)
		if !errors.Is(err, redis.TxFailedErr) {
			break
		}
	}
	if err != nil {
		return false, fmt.Errorf("rekey the naming key: %w", err)
	}
	return changed, nil
}

// KeepNamingKey gives the naming key as it rests sealed in Redis, for a program that keeps
// it elsewhere, and RestoreNamingKey puts it back where Redis has none: for a Redis that
// ends with its process.
func KeepNamingKey(ctx context.Context, rdb redis.UniversalClient, keyName string) (sealed []byte, err error) {
	if sealed, err = rdb.Get(ctx, keyName).Bytes(); err != nil {
		return nil, fmt.Errorf("naming key: %w", err)
	}
	return sealed, nil
}

// RestoreNamingKey puts what KeepNamingKey gave into a Redis that has no naming key.
func RestoreNamingKey(ctx context.Context, rdb redis.UniversalClient, keyName string, sealed []byte) error {
	err := rdb.SetArgs(ctx, keyName, sealed, redis.SetArgs{Mode: "NX"}).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("naming key: %w", err)
	}
	return nil
}

// NamingKeyFingerprint is the fingerprint of a naming key as it rests sealed in Redis.
func NamingKeyFingerprint(sealed []byte, keyName string, keys *Keys) (string, error) {
	plain, err := openNamingKey(sealed, keyName, keys)
	if err != nil {
		return "", err
	}
	return NewNamer([]byte(plain)).Fingerprint(), nil
}
