package console

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// redisReplies are the codes of Redis's refusals that pages have words for.
var redisReplies = map[string]string{
	"LOADING": "loading", "READONLY": "replica", "MASTERDOWN": "replica", "NOREPLICAS": "replicas", "OOM": "full", "MISCONF": "disk",
	"BUSY": "busy", "CLUSTERDOWN": "cluster", "NOAUTH": "access", "WRONGPASS": "access", "NOPERM": "access",
}

// redisWord is the key of the words for what is wrong with Redis, "" where there are none.
// The worker's log has the whole of it.
func redisWord(err error) string {
	var reply redis.Error
	var timeout net.Error
	switch {
	case errors.As(err, &reply):
		code, _, _ := strings.Cut(reply.Error(), " ")
		return redisReplies[code]
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "slow"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	}
	return ""
}
