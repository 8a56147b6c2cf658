package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// writes has what each write was, but for those of nothing.
type writes chan string

func (w writes) Write(p []byte) (int, error) {
	if len(p) > 0 {
		w <- string(p)
	}
	return len(p), nil
}

func TestLinesGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(writes, 10)
		w := &lineWriter{out: out}
		for _, line := range []string{"a\n", "b\n"} {
			if n, err := w.Write([]byte(line)); n != 2 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		if len(out) != 0 {
			t.Error("a line was passed on at once")
		}
		begun := time.Now()
		if got := <-out; got != "a\nb\n" || time.Since(begun) != lineWait {
			t.Errorf("%q after %s", got, time.Since(begun))
		}
		_, _ = w.Write([]byte("c\n"))
		w.flush()
		time.Sleep(lineWait)
		synctest.Wait()
		if got := <-out; got != "c\n" || len(out) != 0 {
			t.Errorf("flushed: %q, and %d writes after it", got, len(out))
		}
	})
}
