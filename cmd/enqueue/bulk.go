package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/meter"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/say"
)

// bulkFlags holds the flags of bulk.
type bulkFlags struct {
	fileFlags
	batch                  string
	path                   string // of the file that the batch is named after; "": a name was given
	dryRun, strict, notify bool
	prune                  string // pruneAll, or the number pruneExactly; "": not given
	pruneExactly           int
	canary                 int // tokens; -1: not given
	plan                   planFlags
	timing                 timing
}

const bulkHelp = `Enqueue many calls from a file in CSV or JSON Lines; - is standard input.

CSV has a header with the columns server and token, in any order. licenses, chain, ref and id
are optional. JSON Lines has the same names. The calls of a token are made in the order of its
rows. A bad row is shown as FILE:LINE: FIELD: what is wrong, and does not stop the others. The
rows behind it in its chain are withheld, because a chain's order is that of the file.
--rejects keeps these rows (with their tokens, mode 0600). Correct the file and give it again.
You can also correct the rejects file, and give that with --batch. If it is JSON Lines and comes
through a pipe, leave the member problem in its first row.

You can give a file again at any time, corrected or after an interruption: only what is new is
added, and no row is made twice. A row is known by its id; one without id by what it says
(server, token, chain and ref) and by its number among rows that say the same. So you may
correct, insert and sort rows. A row conflicts if its id is known for another server or chain,
or is in the file twice. The command says so, and changes nothing.

Calls of the batch that are no longer in the file and have not ended are counted as missing.
--prune cancels them, and replaces a call that conflicts and was never sent. It does nothing if
a row was left out or if another run fills the batch. For more than 20 calls and more than a
tenth of the batch, --prune=N must name their number. --strict enqueues nothing if any row is
rejected or conflicts. The file is read twice for --strict and --prune.

--on-failure says what happens to a chain whose call was given up: hold (wait for a person),
skip (go on with the next call), cancel (drop the later calls of the batch in that chain).

--canary K enqueues the rows of the first K tokens first, and the others only when all of these
succeeded. Otherwise the batch holds, and the exit status is 3. Then correct the file and give
the same command again with --prune; or retry what failed and give the same command again; or
give it with --canary 0, which enqueues the others all the same; or cancel the batch. The same
command also goes on after an interruption. Meanwhile standard input ("-") is kept in an unnamed
file.

--dry-run checks every row, says what would be new, and plans: tokens, calls per token, the days
that the quota takes (licences x 1000 a day for a token), and the least time at an assumed
--latency. The least time is set by whichever takes longest: the longest chain, the busiest
token with its slots, the busiest server with SERVER_CONCURRENCY, or all calls with CONCURRENCY.
Retries and other batches come on top.`

func (a *app) bulk() *cobra.Command {
	var o bulkFlags
	cmd := &cobra.Command{
		Use:   "bulk FILE",
		Short: "Enqueue many calls from CSV or JSON Lines",
		Long:  bulkHelp,
		Example: `  enqueue bulk operations.csv --dry-run
  enqueue bulk operations.csv --dry-run --latency 1.5s --workers 2
  enqueue bulk operations.csv --batch november --rejects rejects.csv --wait
  enqueue bulk operations.csv --batch november --prune    # corrected: what was taken out is cancelled
  jq -c '.[]' operations.json | enqueue bulk - --batch november --json
  enqueue bulk operations.csv --batch november --canary 3
  enqueue bulk operations.csv --at 2026-11-24T02:00:00-05:00 --on-failure skip`,
		Args: exactly(1, "a file (or - for standard input)"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runBulk(cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.batch, "batch", "", "name of the batch (default: the file's name without folder and extension; standard input: the time)")
	f.BoolVar(&o.dryRun, "dry-run", false, "check every row, say what is new, count and plan, and enqueue nothing (needs Redis to know what is there already)")
	f.StringVar(&o.prune, "prune", "", "cancel calls that are no longer in the file; =`N`: exactly N of them")
	f.Lookup("prune").NoOptDefVal = pruneAll
	f.BoolVar(&o.strict, "strict", false, "enqueue nothing if any row is rejected or conflicts")
	o.fileFlags.bind(cmd)
	f.BoolVar(&o.notify, "notify", false, "send the webhook call.finished for each new call that has ended")
	f.IntVar(&o.canary, "canary", -1, "enqueue the rows of the first N tokens, and the others when these succeeded (0: the others now, whatever became of the first)")
	f.Lookup("canary").DefValue = "0" // not given: help tells no default
	o.timing.bind(cmd)
	a.jsonFlag(cmd, "end with one JSON object on standard output")
	f.DurationVar(&o.plan.latency, "latency", 2*time.Second, "with --dry-run: assumed time that a call takes at the vendor")
	f.IntVar(&o.plan.workers, "workers", 1, "with --dry-run: assumed number of worker processes, each with CONCURRENCY calls in flight")
	worker := engine.WorkerOptions{}.WithDefaults()
	f.Int("concurrency", 0, fmt.Sprintf("with --dry-run: calls in flight of a worker (default: the variable CONCURRENCY, or %d)", worker.Concurrency))
	f.Int("server-concurrency", 0, fmt.Sprintf("with --dry-run: of these, at one server of the vendor (default: the variable SERVER_CONCURRENCY, or %d)", worker.ServerConcurrency))
	config.Bind(f, producing)
	return cmd
}

func (a *app) runBulk(cmd *cobra.Command, file string, o bulkFlags) error {
	start, err := o.timing.check(cmd)
	if err != nil {
		return err
	}
	if p := ledger.BatchNameProblem(o.batch); cmd.Flags().Changed("batch") && p != "" {
		return usagef("--batch: the name %s: give another, or leave it out", p)
	}
	if cmd.Flags().Changed("canary") && o.canary < 0 {
		return usagef("--canary %d: want a number of tokens, or 0 to enqueue the others all the same", o.canary)
	}
	if o.prune != "" && o.prune != pruneAll {
		if o.pruneExactly, err = strconv.Atoi(o.prune); err != nil || o.pruneExactly < 1 {
			return usagef("--prune=%s: want the number of calls to cancel, from 1", o.prune)
		}
	}
	var planning config.Settings
	if o.dryRun {
		if planning, err = a.planning(cmd, o.plan); err != nil {
			return err
		}
	} else if f := cmd.Flags(); f.Changed("latency") || f.Changed("workers") || f.Changed("concurrency") || f.Changed("server-concurrency") {
		return usagef("--latency, --workers, --concurrency and --server-concurrency are for --dry-run: a worker has its own settings")
	}
	ctx := cmd.Context()
	r, err := a.openRows(cmd, file, o.fileFlags)
	if err != nil {
		return err
	}
	in := r.in
	defer in.close()
	if o.canary > 0 && !o.dryRun || o.prune != "" || o.strict {
		if err := in.keep(); err != nil {
			return err
		}
	}
	if o.batch == "" {
		if o.batch, o.path, err = in.batchName(); err != nil {
			return err
		}
	}
	o.fileFlags = r.o.fileFlags
	r.o, r.at = o, start.Time(time.Now())
	if o.dryRun {
		return r.dry(ctx, planning, r.resume(), func(calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
			return r.foresee(cmd, calls, o)
		})
	}
	s, err := a.open(cmd, redisconn.Producer, producing)
	if err != nil {
		return err
	}
	defer s.close()
	if r.at, err = a.from(ctx, s, start); err != nil {
		return err
	}
	return r.enqueue(ctx, s)
}

// rowsRun is one run of bulk, run or schedule add over the rows of a file.
type rowsRun struct {
	*app
	cmd     *cobra.Command
	o       bulkFlags
	in      *input
	at      time.Time
	meter   *meter.Meter
	rejects *rows.Rejects
	part    bool // the rows are those of a rejects file
	whole   bool // such rows are refused: the file is the job (run), or all of a schedule

	withheld    int // rows, so far
	savesMemory bool

	notCompared string // why a dry run does not know what is there already; "": it knows
}

// enqueue does the run, if it is not a dry one.
func (r *rowsRun) enqueue(ctx context.Context, s *session) error {
	follow, later := fmt.Sprintf("follow  enqueue watch %s\n", say.Quote(r.o.batch)), ""
	if r.o.strict { // there may be nothing to follow
		follow, later = later, follow
	}
	fmt.Fprintf(r.told(), "batch   %s\n%sresume  %s   (adds only new rows)\n%s", r.o.batch, follow, r.resume(), r.in.onceMore())
	p, err := engine.NewProducer(ctx, s.rdb, s.set.Options)
	if err != nil {
		return err
	}
	o := r.options(progressWords)
	o.OnCanary, o.Notify = r.canaries, r.o.notify
	var sum engine.Summary
	err = s.control.EnqueueBatch(ctx, r.o.batch, func() (_ control.Outcome, err error) {
		sum, err = p.EnqueueBatch(ctx, r.o.batch, r.calls(), o)
		r.meter.Stop()
		return control.Outcome{Count: sum.Enqueued, Of: sum.Rows, Pruned: sum.Pruned, Replaced: sum.Replaced}, err
	})
	_ = p.Close() // as in runCall
	err = errors.Join(err, r.rejects.Close())
	if strict, ok := errors.AsType[*engine.StrictError](err); ok {
		return r.refused(sum, strict)
	}
	if held, ok := errors.AsType[*engine.CanaryError](err); ok {
		return r.held(ctx, s.control, sum, held)
	}
	if err != nil {
		return r.stopped(ctx, sum, err)
	}
	fmt.Fprint(r.told(), later)
	r.summary(ctx, s.control, sum)
	if sum.Enqueued > 0 {
		r.tellNoWorker(ctx, s)
	}
	if !r.o.timing.wait || sum.Rows == 0 {
		return r.end(sum, nil, nil)
	}
	mine := sum.Enqueued + sum.Duplicates
	if r.part {
		mine = math.MaxInt // no row is missing
	}
	st, err := r.settle(ctx, s.control, r.o.batch, r.o.progress, r.o.timing.timeout, mine)
	return r.end(sum, &st, err)
}

// manyRows is the number of rows above which a command saves memory.
const manyRows = 400_000

// saveMemory makes the garbage collector run when the heap has grown by a third, rather than doubled, because a command
// keeps some bytes for each of many rows. Collections are then no more frequent than for a short file.
func (r *rowsRun) saveMemory(rows int) {
	if !r.savesMemory && rows > manyRows {
		debug.SetGCPercent(33)
		r.savesMemory = true
	}
}

// end prints the last object or counts, and picks the exit status. err is the error of the wait;
// whatever it says, the rows are enqueued.
func (r *rowsRun) end(sum engine.Summary, st *control.Status, err error) error {
	if st != nil && st.Batch == "" {
		st = nil // it could not be read
	}
	shown := r.give(bulkResult{sum.JSON(pruneOption), st}, nil, func() {
		if st != nil {
			r.printStatus(*st)
		}
	})
	return cmp.Or(shown, err, ending(sum))
}

// ending is the error of a run that came to its end.
func ending(sum engine.Summary) error {
	switch {
	case !sum.Complete():
		return errPartial
	case sum.NotPruned != nil:
		return errTold
	}
	return nil
}

// stopped says how far the run came, and how to go on.
func (r *rowsRun) stopped(ctx context.Context, sum engine.Summary, err error) error {
	why, told := stopWords(ctx, err)
	then := "resume: " + r.resume() + "\n" + r.in.onceMore()
	switch {
	case errors.Is(err, ledger.BatchCancelled):
		then = "reopen: enqueue reopen " + say.Quote(r.o.batch) + "\n"
	case told == errUsageTold, errors.Is(err, ledger.BatchOld), badFile(err):
		then = "" // the same command would be refused again
	}
	if n := sum.Enqueued + sum.Duplicates; n > 0 {
		why = "stopped after " + say.Count(n, "call") + ": " + why
	}
	fmt.Fprintf(r.err, "enqueue: %s\n%s", why, then)
	return told
}

// resume returns the command that goes on. but has flags to change, each followed by its new value ("": leave it out).
func (r *rowsRun) resume(but ...string) string {
	instead := map[string]string{"at": timeFlag(r.at)}
	if r.o.path == "" { // else it is the file's
		instead["batch"] = r.o.batch
	}
	for flag := range slices.Chunk(but, 2) {
		instead[flag[0]] = flag[1]
	}
	return "enqueue bulk " + r.in.argument() + flagsAgain(r.cmd, instead, slices.Concat([]string{"batch"}, howRead, []string{"canary", "prune", "strict", "notify", "at"})...)
}
