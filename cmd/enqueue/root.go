// Command enqueue gives calls to habilita, shows what became of them, and lets a
// person decide about those that were given up. `enqueue --help` shows it all.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // QUOTA_TIMEZONE on machines without a zone database

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/tracing"
	"habilita/internal/version"
)

func main() { os.Exit(mainStatus()) }

// mainStatus is main without the exit, so that tests can run it as a command.
func mainStatus() int {
	logging.Disable() // go-redis prints every failed dial; the command says it once, in words
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup keeps it going when the terminal is closed
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	// The first signal ends things in order; a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
}

// run runs the command with everything it touches as arguments, and returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errw io.Writer) int {
	a := &app{getenv: getenv, in: in, out: out, err: errw}
	root := a.root()
	root.SetArgs(args)
	return a.status(root.ExecuteContext(asPerson(ctx, errw)))
}

// app is what all subcommands share.
type app struct {
	getenv   func(string) string
	in       io.Reader
	out, err io.Writer
	json     bool           // --json was given
	zone     *time.Location // of the vendor, as soon as the settings are loaded
}

// told returns where text for people goes: standard output, or with --json the error output.
func (a *app) told() io.Writer {
	if a.json {
		return a.err
	}
	return a.out
}

// jsonFlag gives a command --json.
func (a *app) jsonFlag(cmd *cobra.Command, means string) {
	cmd.Flags().BoolVar(&a.json, "json", false, means)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "enqueue",
		Short:         "Give calls to habilita, follow them, and act on those that were given up",
		Long:          rootHelp,
		Example:       rootExamples,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          a.noCommand,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if f := cmd.Flags(); cmd.HasSubCommands() && f.NArg() > 0 { // the flag is for a command that does not exist
			return unknownCommand(cmd, f.Arg(0))
		}
		return usagef("%v (%s --help shows the flags)", err, cmd.CommandPath())
	})
	root.SetUsageFunc(usage)
	config.Bind(root.PersistentFlags(), config.Redis)
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Give calls:", []*cobra.Command{a.call(), a.bulk(), a.schedule(), a.runLocal()}},
		{"See what became of them:", []*cobra.Command{a.statusCmd(), a.watch(), a.report(), a.batches(), a.show(), a.chains(),
			a.tokenID(), a.quota(), a.servers(), a.webhooks()}},
		{"Act on what was given up:", a.decisions()},
		{"Keys:", []*cobra.Command{a.keygen(), a.rekey()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.title
			a.takes(c)
			root.AddCommand(c)
		}
	}
	root.SetHelpCommand(&cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Help for a command",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, _ := root.Find(args)
			if len(rest) > 0 {
				return unknownCommand(cmd, rest[0])
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	})
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"}) // cobra's own shows help for an unknown shell
	completion.Args = exactly(1, "a shell")
	completion.RunE = func(_ *cobra.Command, args []string) error {
		return usagef("there is no completion for %q: bash, fish, powershell and zsh have one", args[0])
	}
	return root
}

// noCommand runs if the command of a group is missing or unknown. For an unknown one, cobra would only show help.
func (a *app) noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	cmd.SetOut(a.err)
	_ = cmd.Help()
	return errUsageTold
}

func unknownCommand(group *cobra.Command, name string) error {
	group.SuggestionsMinimumDistance = 2
	hint := "; enqueue --help lists them"
	if near := group.SuggestionsFor(name); len(near) > 0 {
		hint = ": did you mean " + strings.Join(near, " or ") + "?"
	}
	_, parents, _ := strings.Cut(group.CommandPath()+" ", " ")
	return usagef("there is no command %q%s", parents+name, hint)
}

// takes makes a command and its subcommands accept the arguments that their use lines name, and nothing else.
func (a *app) takes(cmd *cobra.Command) {
	if cmd.Args == nil {
		switch _, what, _ := strings.Cut(cmd.Use, " "); {
		case strings.HasPrefix(what, "BATCH"):
			cmd.Args, cmd.ValidArgsFunction = exactly(1, "a batch"), a.names(batchNames)
		case strings.HasPrefix(what, "NAME"):
			cmd.Args, cmd.ValidArgsFunction = exactly(1, "the name of a schedule"), a.names(scheduleNames)
		default:
			cmd.Args = exactly(0, "no argument")
		}
	}
	for _, c := range cmd.Commands() {
		a.takes(c)
	}
}

// exactly is cobra's ExactArgs, with our exit status.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usagef("%s needs %s: %s", cmd.CommandPath(), what, cmd.UseLine())
		case len(args) > n && n == 0:
			return usagef("%s takes no argument", cmd.CommandPath())
		case len(args) > n:
			return usagef("%s takes %s and nothing more: %s", cmd.CommandPath(), what, cmd.UseLine())
		}
		return nil
	}
}

const (
	// prefix begins the names of all keys in Redis.
	prefix = quota.DefaultPrefix
	// firstAnswer is how long Redis may take for its first answer.
	firstAnswer = 4 * time.Second
	// nodeAnswer is how long one of several nodes may take, so that another can be asked within firstAnswer.
	nodeAnswer = 1500 * time.Millisecond
	// producing are the settings of the commands that enqueue.
	producing = config.Keys | config.Limits | config.Writing
)

// session is what a command needs to talk to Redis. Close it.
type session struct {
	rdb     redis.UniversalClient
	control *control.Control
	set     config.Settings // with its tracer, of a producer

	flush func() // of the spans
}

func (s *session) close() {
	s.flush()
	_ = s.rdb.Close()
}

// onRedis makes cmd do work on Redis, with the settings of the groups.
func (a *app) onRedis(cmd *cobra.Command, role redisconn.Role, groups config.Group, work func(ctx context.Context, s *session, args []string) error) *cobra.Command {
	config.Bind(cmd.Flags(), groups)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := a.open(cmd, role, groups)
		if err != nil {
			return err
		}
		defer s.close()
		return work(cmd.Context(), s, args)
	}
	return cmd
}

// open loads settings, connects as role, and checks that Redis answers, so that the user learns at
// once if it is away. Unless the role is Reader, it also checks how that Redis is set up: it refuses one
// that would lose calls or lacks a right, and warns of what could be better.
func (a *app) open(cmd *cobra.Command, role redisconn.Role, groups config.Group) (_ *session, err error) {
	set, err := config.Load(cmd.Flags(), a.getenv, groups|config.Redis)
	if err != nil {
		return nil, err
	}
	a.zone = set.Quota.Location
	a.warn(set.Warnings())
	o := redisconn.Options{ClientName: "habilita-enqueue", DialTimeout: firstAnswer}
	if redisconn.Several(set.RedisURL) {
		o.ReadTimeout = nodeAnswer
	}
	s := &session{set: set, flush: func() {}}
	if s.rdb, err = redisconn.Open(set.RedisURL, o); err != nil {
		return nil, usagef("REDIS_URL: %v", err)
	}
	defer func() {
		if err != nil {
			_ = s.rdb.Close()
		}
	}()
	if err := a.meet(cmd.Context(), s, role); err != nil {
		return nil, err
	}
	if s.control, err = control.Open(s.rdb, prefix, set.Quota); err != nil || role != redisconn.Producer {
		return s, err
	}
	// A producer may repeat what it does, so it waits out a failover. The first requests
	// don't wait: if Redis is away, the user learns it at once.
	redisconn.MakePatient(s.rdb)
	s.set.Tracer, s.flush, err = tracing.Start(cmd.Context(), "habilita-enqueue", tracing.CommandPatience, a.getenv, func(err error) {
		fmt.Fprintln(a.err, "warning: spans could not be sent:", err)
	})
	if err != nil {
		return nil, usagef("%v", err)
	}
	return s, nil
}

// meet checks that Redis answers and, unless the role is Reader, how it is set up.
func (a *app) meet(ctx context.Context, s *session, role redisconn.Role) error {
	limited, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	var found []redisconn.Finding
	var err error
	if role == redisconn.Reader {
		err = s.rdb.Ping(limited).Err()
	} else {
		found, err = redisconn.Preflight(limited, s.rdb, role)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("no Redis at %s: %s", redisconn.Redact(s.set.RedisURL), redisconn.Describe(err))
	}
	warnings, err := redisconn.Split(found)
	if err == nil {
		a.warn(warnings)
	}
	return err
}

func (a *app) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(a.err, "warning:", w)
	}
}

// names completes an argument or a flag with what read finds, if Redis answers within a second.
func (a *app) names(read func(ctx context.Context, s *session) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		const done = cobra.ShellCompDirectiveNoFileComp
		if len(args) > 0 {
			return nil, done
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
		defer cancel()
		cmd.SetContext(ctx)
		s, err := a.open(cmd, redisconn.Reader, 0)
		if err != nil {
			return nil, done
		}
		defer s.close()
		return read(ctx, s), done
	}
}
