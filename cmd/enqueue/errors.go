package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"

	"github.com/redis/go-redis/v9"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/wolkvox"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitPartial = 3
)

// usageError is wrong usage: exit status 2.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// toldStatus is the exit status of a command that told already what it ended with.
type toldStatus int

func (s toldStatus) Error() string { return fmt.Sprintf("exit status %d, as was told", int(s)) }

const (
	// errPartial says that it worked, and that not everything succeeded.
	errPartial = toldStatus(exitPartial)
	// errTold says that it failed.
	errTold = toldStatus(exitFailed)
	// errUsageTold says that it was used wrongly.
	errUsageTold = toldStatus(exitUsage)
)

// status prints what there is to say of a command's error and returns the exit status.
func (a *app) status(err error) int {
	var told toldStatus
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return int(told)
	}
	fmt.Fprintf(a.err, "enqueue: %v\n", explain(err))
	if wrongUsage(err) {
		return exitUsage
	}
	return exitFailed
}

func wrongUsage(err error) bool {
	var (
		usage     *usageError
		settings  *config.Error
		selection *control.SelectionError
		server    *wolkvox.ServerError
		call      *engine.CallError
		policy    *ledger.BatchPolicyError
		canary    *ledger.BatchCanaryError
		path      *ledger.BatchPathError
	)
	return errors.As(err, &usage) || errors.As(err, &settings) || errors.As(err, &selection) ||
		errors.As(err, &server) || errors.As(err, &call) || errors.As(err, &policy) || errors.As(err, &canary) || errors.As(err, &path) || errors.Is(err, control.ErrChainID) || errors.Is(err, engine.ErrPart)
}

// explain puts a sentence with what to do next in the place of an error of Redis.
func explain(err error) error {
	var (
		file  *rows.FileError
		path  *fs.PathError
		reply redis.Error
		netw  net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case control.Unread(err) > 0:
		return errors.New(control.UnreadWords(err))
	case errors.As(err, &file) && file.BadText:
		return fmt.Errorf("%w: %s", err, badTextAdvice)
	case errors.As(err, &file), errors.As(err, &path), wrongUsage(err):
		return err
	case errors.As(err, &reply), errors.As(err, &netw), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New(redisconn.Describe(err))
	}
	return err
}
