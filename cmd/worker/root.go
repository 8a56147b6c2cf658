// Command worker makes the calls that were enqueued. See worker --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // the vendor's time zone, also in an image that has no zones

	"github.com/hibiken/asynq"
	asynqmetrics "github.com/hibiken/asynq/x/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9/logging"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/meter"
	"habilita/internal/redisconn"
	"habilita/internal/tracing"
	"habilita/internal/version"
	"habilita/internal/webhook"
)

func main() {
	logging.Disable() // go-redis prints every failed dial; our own log says it once
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// The exit statuses of CONTRACT.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a wrong use or setting: exit status 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// env is what a command has of its process.
type env struct {
	getenv func(string) string
	out    io.Writer
	err    io.Writer
}

// run is the whole program, for main and for tests.
func run(ctx context.Context, args []string, getenv func(string) string, out, errw io.Writer) int {
	e := env{getenv: getenv, out: out, err: errw}
	root := rootCommand(e)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errw)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, errStopped) {
		return exitOK
	}
	fmt.Fprintln(errw, "worker:", err)
	if _, usage := errors.AsType[usageError](err); usage {
		return exitUsage
	}
	return exitFailed
}

// errStopped says that a worker was told to stop while it started. Nothing is wrong then.
var errStopped = errors.New("it was told to stop while it started")

func rootCommand(e env) *cobra.Command {
	var check bool
	root := &cobra.Command{
		Use:   "worker",
		Short: "Makes the enable_module calls that were enqueued",
		Long: `worker makes the calls that "enqueue" put into Redis: one enable_module request at
wolkvox for each row of a file, in order for each token, at most two of a token at the same
time, and within its quota of the day. Run one, or as many as you like.

It runs until SIGTERM or Ctrl-C. Then it takes no new call, lets those in flight end, and exits
with 0. Settings come from the environment, or from flags of the same names. Exit status: 1
it failed; 2 wrong usage or settings.`,
		Example: `  worker demo                               # see it work, with nothing installed
  (umask 077 && enqueue keygen > keys)      # once: the key under which tokens rest sealed
  HABILITA_KEYS_FILE=keys worker            # make the calls of redis://127.0.0.1:6379/0
  HABILITA_KEYS_FILE=keys worker --check    # only check the settings and Redis`,
		Version:       version.String(),
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := config.Load(cmd.Flags(), e.getenv, config.All)
			if err != nil {
				return usageError{err}
			}
			return e.work(cmd.Context(), s, check)
		},
	}
	config.Bind(root.Flags(), config.All)
	root.Flags().BoolVar(&check, "check", false, "check the settings and Redis, and exit")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(demoCommand(e), probeCommand(e))
	return root
}

// noArgs is cobra's NoArgs, with our exit status.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{fmt.Errorf("%w (%s --help shows what there is)", err, cmd.CommandPath())}
	}
	return nil
}

// work runs a worker until ctx ends.
func (e env) work(ctx context.Context, s config.Settings, checkOnly bool) error {
	lines := &lineWriter{out: e.err}
	defer lines.flush()
	log := config.Logger(s, lines, meter.OnTerminal(e.err))
	for _, w := range s.Warnings() {
		log.Warn().Msg(w)
	}
	if !strings.Contains(s.WolkvoxURL, "{server}") {
		log.Warn().Str("wolkvox_url", s.WolkvoxURL).Msg("WOLKVOX_URL has no {server}: every call goes to the same address")
	}
	guard, err := newGuard(s, log)
	if err != nil {
		return err
	}
	start := startPatience{several: redisconn.Several(s.RedisURL), log: log, most: startAtMost, pause: time.Second}
	if checkOnly {
		start.most = 0
	}
	if err := start.try(ctx, func() error { return preflight(ctx, s, log, checkOnly) }); err != nil {
		return stoppedOr(ctx, checkOnly, err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), guard)
	queues, err := redisconn.Open(s.RedisURL, redisconn.Options{PoolSize: 2, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second})
	if err != nil {
		return usageError{err}
	}
	defer queues.Close()
	registry.MustRegister(&lastKnown{inner: asynqmetrics.NewQueueMetricsCollector(asynq.NewInspectorFromRedisClient(queues))})
	saveMemory(s.Concurrency)
	s.Log, s.Metrics = log, registry
	startWebhooks, closeWebhooks, err := openWebhooks(&s)
	if err != nil {
		return err
	}
	defer closeWebhooks()
	var flush func()
	s.Tracer, flush, err = tracing.Start(ctx, "habilita-worker", tracing.Patience, e.getenv, func(err error) {
		log.Warn().Err(err).Msg("spans could not be sent; this is not said again")
	})
	if err != nil {
		return usageError{err}
	}
	var w *engine.Worker
	if err := start.try(ctx, func() (err error) { w, err = engine.NewWorker(ctx, s.WorkerOptions); return err }); err != nil {
		flush()
		return stoppedOr(ctx, checkOnly, explain(err))
	}
	if checkOnly {
		defer flush()
		if err := w.Close(); err != nil {
			return err
		}
		fmt.Fprintf(e.out, checked, s.Concurrency, s.ServerConcurrency, s.Quota.Slots)
		return nil
	}
	stop, err := openSite(ctx, s, site{worker: w, metrics: registry, guard: guard}, log)
	if err != nil {
		flush()
		return errors.Join(stoppedOr(ctx, false, explain(err)), w.Close())
	}
	return inTime(ctx, s.ShutdownTimeout+stopWait, log, func() error {
		defer flush()
		defer stop()
		defer startWebhooks()()
		return explain(w.Run(ctx))
	})
}

// stopWait is how long after SHUTDOWN_TIMEOUT the process ends at the latest, even if something hangs.
const stopWait = 4 * time.Second

// inTime runs work until it ends. Once ctx has ended, it waits for work only for the time after.
func inTime(ctx context.Context, after time.Duration, log zerolog.Logger, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(after):
		log.Error().Dur("after", after).Msg("the worker ends in the middle of its shutdown, since Redis or a client hangs")
		return nil
	}
}

// preflight checks the Redis that was given, and refuses one that would lose calls. If it has too few
// replicas now, only --check refuses it: a worker waits for them.
func preflight(ctx context.Context, s config.Settings, log zerolog.Logger, checkOnly bool) error {
	// No retries: if Redis does not answer, the user must learn it within seconds.
	rdb, err := redisconn.Open(s.RedisURL, redisconn.Options{PoolSize: 1, MaxRetries: -1})
	if err != nil {
		return usageError{err}
	}
	defer rdb.Close()
	findings, err := redisconn.Preflight(ctx, rdb, redisconn.Worker)
	if err != nil {
		return &redisError{err}
	}
	lacking, err := redisconn.TooFewReplicas(ctx, rdb, s.WaitReplicas)
	if err != nil {
		return &redisError{err}
	}
	for i := range lacking {
		if !checkOnly {
			lacking[i].Level = redisconn.Warn
		}
	}
	warnings, err := redisconn.Split(append(findings, lacking...))
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
	return err
}

// explain puts a failure into words that say what to do next.
func explain(err error) error {
	if _, disagree := errors.AsType[*membership.MismatchError](err); disagree {
		return usageError{err}
	}
	if said := redisconn.Describe(err); said != "" && said != err.Error() {
		return &redisError{err}
	}
	return err
}

// checked is what worker --check says. It also lists what only a call can show.
const checked = `settings and Redis are fine: %d requests in flight at most, %d of them at one server, %d of a token
not checked, since only a call shows it: whether wolkvox can be reached from here and lets this
address in, and whether tokens, their licences and every machine's clock are right
`

// redisError is an error of Redis that says what to do next.
type redisError struct{ err error }

func (e *redisError) Error() string { return redisconn.Describe(e.err) }
func (e *redisError) Unwrap() error { return e.err }

// startAtMost is how long a start waits for a failure to pass. The failover of a cluster takes its
// cluster-node-timeout (15 s by default) and some seconds.
const startAtMost = time.Minute

// startPatience makes a start wait while Redis fails over or reads its data, rather than
// fail: a supervisor gives up restarting a worker after a few times.
type startPatience struct {
	several bool // more than one node can serve
	log     zerolog.Logger
	most    time.Duration // 0: no wait
	pause   time.Duration // between two tries
}

// try calls start until it succeeds, fails for a reason that does not pass, or most is
// over. The error is start's last one.
func (p startPatience) try(ctx context.Context, start func() error) error {
	began := time.Now()
	for told := false; ; told = true {
		err := start()
		if err == nil || ctx.Err() != nil || !redisconn.Passing(err, p.several) || time.Since(began) >= p.most {
			return err
		}
		if !told {
			p.log.Warn().Str("why", redisconn.Describe(err)).Dur("at_most", p.most).Msg("Redis is not ready: the start waits")
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(p.pause):
		}
	}
}

// stoppedOr returns errStopped if a start failed because it was told to stop, and otherwise
// err. A check that was told to stop is a failure, since it has not checked everything.
func stoppedOr(ctx context.Context, checkOnly bool, err error) error {
	switch _, usage := errors.AsType[usageError](err); {
	case ctx.Err() == nil, usage:
		return err
	case checkOnly:
		return errors.New("it was told to stop before all was checked")
	}
	return errStopped
}

// saveMemory makes the garbage collector run sooner the more requests the worker may have in flight, because they hold most
// of its memory: at 400 % growth with few requests, at 50 % from 3,000 on. GOGC in the environment wins.
func saveMemory(concurrency int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(min(max(50, 150_000/max(1, concurrency)), 400))
	}
}

// webhookConns is how many connections to Redis webhooks have, besides those of calls.
const webhookConns = 8

// openWebhooks makes the webhooks that the settings ask for, and lets them see outcomes. It sends nothing to Redis. start
// runs them until end is called: they outlive the calls of a worker that stops. done closes their connections.
func openWebhooks(s *config.Settings) (start func() (end func()), done func(), err error) {
	if s.WebhookURLs == "" {
		return func() func() { return func() {} }, func() {}, nil
	}
	rdb, err := redisconn.Open(s.RedisURL, redisconn.Options{PoolSize: webhookConns})
	if err != nil {
		return nil, nil, usageError{err}
	}
	done = func() { _ = rdb.Close() }
	var hooks *webhook.Webhooks
	op, err := control.Open(rdb, s.Prefix, s.Quota)
	if err == nil {
		hooks, err = webhook.New(webhook.Options{
			Redis: rdb, Prefix: s.Prefix, Control: op, URLs: s.WebhookURLs, Secrets: s.WebhookSecrets, Events: s.WebhookEvents,
			Metrics: s.Metrics, Log: s.Log,
		})
	}
	if err != nil {
		done()
		return nil, nil, usageError{err}
	}
	s.AfterOutcome = func(r engine.Recorded) { hooks.Saw(r.Batch) }
	return func() (end func()) { return engine.Background(context.Background(), hooks.Run) }, done, nil
}
