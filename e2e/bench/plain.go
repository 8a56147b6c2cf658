package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// plainCommand makes this program a worker of plain asynq: a handler that makes the PUT of
// a task, and nothing else.
const plainCommand = "plain"

const (
	plainQueue = "plain"
	plainType  = "plain:call"
	// plainAtOnce is how many tasks it works on at the same time by default.
	plainAtOnce = 64
	// atOnceAsPlain makes habilita's worker do as many.
	atOnceAsPlain = "CONCURRENCY=64"
	// payloadSize is the size of a task's payload: server, token, reference and what
	// one would add to them.
	payloadSize = 206
)

// plainCall is the payload of a task.
type plainCall struct {
	Server string `json:"server"`
	Token  string `json:"token"`
	Ref    string `json:"ref"`
	Left   int    `json:"left"` // further calls of the chain: the handler enqueues the next one
	Pad    string `json:"pad"`
}

func plainTask(c plainCall) *asynq.Task {
	body, err := json.Marshal(c)
	if err == nil && len(body) < payloadSize {
		c.Pad = strings.Repeat("x", payloadSize-len(body))
		body, err = json.Marshal(c)
	}
	if err != nil {
		panic(err) // texts and a number can't fail
	}
	return asynq.NewTask(plainType, body)
}

// runPlain works until ctx ends.
func runPlain(ctx context.Context, args []string, errw io.Writer) int {
	fs := flag.NewFlagSet(plainCommand, flag.ContinueOnError)
	fs.SetOutput(errw)
	addr := fs.String("redis", "", "host:port")
	vendorURL := fs.String("vendor", "", "the vendor's URL")
	check := fs.Duration("check", 0, "TaskCheckInterval; 0 is asynq's default")
	atOnce := fs.Int("at-once", plainAtOnce, "Concurrency")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	rdb := redis.NewClient(&redis.Options{Addr: *addr, PoolSize: *atOnce + 32})
	defer rdb.Close()
	client := asynq.NewClientFromRedisClient(rdb)
	web := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: *atOnce}}
	handle := func(ctx context.Context, t *asynq.Task) error {
		var c plainCall
		if err := json.Unmarshal(t.Payload(), &c); err != nil {
			return err
		}
		if err := put(ctx, web, *vendorURL, c); err != nil {
			return err
		}
		if c.Left == 0 {
			return nil
		}
		c.Left, c.Pad = c.Left-1, ""
		_, err := client.EnqueueContext(ctx, plainTask(c), asynq.Queue(plainQueue))
		return err
	}
	srv := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: *atOnce, Queues: map[string]int{plainQueue: 1}, TaskCheckInterval: *check, LogLevel: asynq.ErrorLevel,
	})
	if err := srv.Start(asynq.HandlerFunc(handle)); err != nil {
		_, _ = fmt.Fprintln(errw, "bench plain:", err)
		return 1
	}
	<-ctx.Done()
	srv.Shutdown()
	return 0
}

// put makes the call.
func put(ctx context.Context, web *http.Client, vendorURL string, c plainCall) error {
	url := strings.ReplaceAll(vendorURL, "{server}", c.Server) + "/api/v2/configuration.php?api=enable_module"
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("wolkvox-token", c.Token)
	resp, err := web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Error any `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode >= 300 || answer.Error != nil {
		return fmt.Errorf("status %d: %v", resp.StatusCode, answer.Error)
	}
	return nil
}
