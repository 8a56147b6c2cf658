package engine

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options with values that the settings of the same names can't have are refused, all at once, before Redis is asked.
func TestWorkerRefusesOptionsThatCantBe(t *testing.T) {
	for want, o := range map[string]WorkerOptions{
		"Concurrency is too large":                                                         {Concurrency: math.MaxInt},
		"MaxAttempts is too large\nServerConcurrency is too large":                         {MaxAttempts: 1_000_001, ServerConcurrency: 1_000_001},
		"CallTimeout is too large\nGiveUpAfter is too large\nRetryMax is too large":        {CallTimeout: math.MaxInt64, GiveUpAfter: math.MaxInt64, RetryMax: math.MaxInt64},
		"Retention is too large\nShutdownTimeout is too large\nVendorTimeout is too large": {Retention: math.MaxInt64, ShutdownTimeout: math.MaxInt64, VendorTimeout: math.MaxInt64},
		"CallTimeout is below 0":                                                           {CallTimeout: -1},
		"VendorTimeout is below 0":                                                         {VendorTimeout: -1},
		"SlotMargin is below 0":                                                            {SlotMargin: -1},
		"GiveUpAfter is below 0":                                                           {GiveUpAfter: -1},
		"RetryMin is below 0":                                                              {RetryMin: -1},
		"RetryMax is below 0":                                                              {RetryMax: -1},
		"Retention is below 0":                                                             {Retention: -1},
		"ShutdownTimeout is below 0":                                                       {ShutdownTimeout: -1},
		"TaskCheckInterval is below 0":                                                     {TaskCheckInterval: -1},
		"ReconcileInterval is below 0":                                                     {ReconcileInterval: -1},
		"Concurrency is below 0":                                                           {Concurrency: -1},
		"ServerConcurrency is below 0":                                                     {ServerConcurrency: -1},
		"MaxAttempts is below 0\nRetryMin is 1s, above RetryMax, which is 1ms":             {MaxAttempts: -1, RetryMax: time.Millisecond},
	} {
		o.RedisURL, o.Metrics, o.Keys = "redis://127.0.0.1:1", prometheus.NewRegistry(), testKey(t)
		if _, err := NewWorker(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
