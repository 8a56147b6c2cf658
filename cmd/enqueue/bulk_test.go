package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"habilita/internal/config"
	"habilita/internal/engine"
	"habilita/internal/leasttime"
)

func TestPlanBounds(t *testing.T) {
	for _, c := range []struct {
		name                       string
		tokens, chains, calls, lic int // chains of each token, calls of each chain
		workers, servers           int
		seconds                    float64
		days                       int
		bound                      leasttime.Bound
	}{
		{"chain", 3, 1, 10, 0, 1, 3, 20, 1, "chain"},
		{"slots", 1, 10, 5, 0, 1, 1, 50, 1, "slots"},
		{"server", 100, 1, 3, 0, 1, 1, 200, 1, "server"},
		{"concurrency", 100, 1, 2, 0, 1, 100, 100, 1, "concurrency"},
		{"two workers", 100, 1, 2, 0, 2, 100, 50, 1, "concurrency"},
		{"days", 1, 1, 2001, 1, 1, 1, 4002, 3, "chain"},
		{"licences", 1, 1, 2001, 3, 1, 1, 4002, 1, "chain"},
		{"none", 0, 0, 0, 0, 1, 1, 0, 0, ""},
	} {
		all := newPlanned()
		for tok := range c.tokens {
			for ch := range c.chains {
				for range c.calls {
					all.add(fmt.Sprint(tok%c.servers), uint64(tok), uint64(tok*1000+ch), c.lic)
				}
			}
		}
		var set config.Settings
		set.Concurrency, set.ServerConcurrency, set.Quota.Slots, set.Quota.DefaultLicenses = 4, 3, 2, 1
		got := all.plan(planFlags{2 * time.Second, c.workers}, set)
		if got.Seconds != c.seconds || got.QuotaDays != c.days || got.Bound != c.bound {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// The advice must be a command that is not refused, as --prune=0 would be.
func TestPruneAdviceNamesANumberThatIsTaken(t *testing.T) {
	for want, missing := range map[string]int{
		"0 calls are missing from the file, not 1":                                0,
		"2 calls are missing from the file, not 1: to cancel them give --prune=2": 2,
	} {
		if got := engine.NotPrunedWords(&engine.PruneCountError{Missing: missing, Named: 1}, pruneOption); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for want, err := range map[string]error{
		"1 of 1 call is missing from the file, which may be a mistake":           &engine.PruneCountError{Missing: 1, Total: 1},
		"2,000 of 3,000 calls are missing from the file, which may be a mistake": &engine.PruneCountError{Missing: 2000, Total: 3000},
		"nothing was enqueued: 1 row was rejected, 2 conflict":                   &engine.StrictError{Rejected: 1, Conflicts: 2},
		"nothing was enqueued: 0 rows were rejected, 1 conflicts":                &engine.StrictError{Conflicts: 1},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Programs read the same object here and over HTTP, with whole milliseconds.
func TestSummaryForPrograms(t *testing.T) {
	sum := engine.Summary{Batch: "b", Missing: 2, Elapsed: 1234567 * time.Microsecond, NotPruned: &engine.PruneCountError{Missing: 2, Named: 1}}
	got, err := json.Marshal(sum.JSON("prune"))
	if err != nil || !strings.HasSuffix(string(got), `"tokens":0,"edited":false,"seconds":1.235,"not_pruned":"2 calls are missing from the file, not 1: to cancel them give prune=2"}`) {
		t.Errorf("%s, %v", got, err)
	}
}

// The rows are enqueued, whatever becomes of the wait for them, so --json has its object.
func TestSummaryOfAWaitThatIsCutOff(t *testing.T) {
	var out bytes.Buffer
	r := &rowsRun{app: &app{out: &out, json: true}}
	cut := errors.New("cut off")
	err := r.end(engine.Summary{Batch: "b", Rows: 2, Enqueued: 2}, nil, cut)
	if !errors.Is(err, cut) || !strings.Contains(out.String(), `"enqueued":2`) {
		t.Errorf("%v: %s", err, out.String())
	}
}

// A run that a person ended says so, and what went wrong as it ended.
func TestWhyARunStopped(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want string
		told toldStatus
	}{
		"ended":                           {ended, fmt.Errorf("rows: %w", context.Canceled), "interrupted", errTold},
		"the log could not be written":    {ended, fmt.Errorf("journal: %w", syscall.EIO), "journal: input/output error", errTold},
		"by itself":                       {t.Context(), fmt.Errorf("journal: %w", syscall.EIO), "journal: input/output error", errTold},
		"wrong usage":                     {t.Context(), usagef("no"), "no", errUsageTold},
		"wrong usage of one that is over": {ended, usagef("no"), "no", errTold},
	} {
		if why, told := stopWords(c.ctx, c.err); why != c.want || told != c.told {
			t.Errorf("%s: %q, %d", name, why, told)
		}
	}
}
