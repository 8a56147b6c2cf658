package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestServerLife(t *testing.T) {
	s := Start(t)
	c, ctx := s.Client(), t.Context()
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for name, stop := range map[string]func(){"Restart": func() {}, "Stop": s.Stop} {
		stop()
		s.Restart()
		if got, err := c.Get(ctx, "k").Result(); err != nil || got != "v" {
			t.Errorf("after %s: %q, %v", name, got, err)
		}
	}
	s.Kill()
	s.Kill()
	if err := c.Ping(ctx).Err(); err == nil {
		t.Error("a killed server answers")
	}
	s.Restart()

	quick := redis.NewClient(&redis.Options{Addr: s.Addr, ReadTimeout: 50 * time.Millisecond, MaxRetries: -1})
	defer quick.Close()
	if err := quick.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	if err := quick.Ping(ctx).Err(); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused server: %v", err)
	}
	s.Resume()
	if err := c.Ping(ctx).Err(); err != nil {
		t.Errorf("after Resume: %v", err)
	}
	s.Pause()
	s.Stop()
	if _, err := os.Stat(s.Dir + "/appendonlydir"); err != nil {
		t.Error(err)
	}
}

// A child that saves the data ends with its server.
func TestKillEndsChildren(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	s := Start(t, "--rdb-key-save-delay", "60000000")
	c := s.Client()
	for i := range 100 {
		c.Set(t.Context(), fmt.Sprint(i), i, 0)
	}
	if err := c.BgSave(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	eventually := func(what string, good func() bool) {
		t.Helper()
		late := time.After(20 * time.Second)
		for !good() {
			select {
			case <-late:
				t.Fatal(what, ": not within 20 s")
			case <-time.After(time.Millisecond):
			}
		}
	}
	var stat string
	eventually("the child writes", func() bool {
		files, _ := filepath.Glob(filepath.Join(s.Dir, "temp-*.rdb"))
		for _, f := range files {
			pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(f), "temp-"), ".")
			stat = filepath.Join("/proc", pid, "stat")
		}
		return stat != ""
	})
	s.Kill()
	eventually("the child has ended", func() bool {
		text, err := os.ReadFile(stat)
		return err != nil || strings.Contains(string(text), ") Z ")
	})
}

func TestBoth(t *testing.T) {
	then := time.Date(2026, 11, 23, 4, 59, 57, 0, time.UTC)
	seen := map[string]bool{}
	Both(t, func(t *testing.T, b Backend) {
		seen[b.Name] = true
		if n, err := b.Client.DBSize(t.Context()).Result(); err != nil || n != 0 {
			t.Errorf("%d keys, %v", n, err)
		}
		if b.SetTime == nil {
			return
		}
		b.SetTime(then)
		if now, err := b.Client.Time(t.Context()).Result(); err != nil || !now.Equal(then) {
			t.Errorf("TIME = %v, %v", now, err)
		}
	})
	if !seen["miniredis"] {
		t.Error("miniredis was left out")
	}
}

func TestBothOwnTakesArguments(t *testing.T) {
	BothOwn(t, func(t *testing.T, b Backend) {
		if b.Server == nil {
			return
		}
		conf, err := b.Client.ConfigGet(t.Context(), "maxmemory-policy").Result()
		if err != nil || conf["maxmemory-policy"] != "allkeys-lru" {
			t.Errorf("%v, %v", conf, err)
		}
	}, "--maxmemory-policy", "allkeys-lru")
}

// childEnv is set for this binary as the process that starts the shared server.
const childEnv = "REDISTEST_CHILD"

func TestSharedEndsWithTheProcess(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		fmt.Println("SHARED", Shared(t).Addr)
		_ = os.Stdout.Sync()
		select {} // until it is killed
	}
	program(t)
	child := exec.Command(os.Args[0], "-test.run=^TestSharedEndsWithTheProcess$", "-test.v")
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	addr := ""
	for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
		_, addr, _ = strings.Cut(lines.Text(), "SHARED ")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = child.Process.Kill()
	_ = child.Wait()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server outlives its test: %d, %v", n, err)
	}
}

func TestSharedTestsDoNotSeeEachOther(t *testing.T) {
	for range 2 {
		t.Run("one", func(t *testing.T) {
			b := Shared(t)
			o, err := redis.ParseURL(b.URL)
			if err != nil {
				t.Fatal(err)
			}
			c := redis.NewClient(o)
			defer c.Close()
			if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("%d keys, %v", n, err)
			}
			if err := b.Client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Error(err)
			}
			if got, err := c.Get(t.Context(), "k").Result(); got != "v" {
				t.Error(got, err)
			}
		})
	}
}
