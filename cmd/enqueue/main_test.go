package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"enqueue": func() { os.Exit(mainStatus()) }})
}

// start is the time of the simulated Redis when a story begins: noon in Bogotá.
var start = time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)

// TestStories runs the command as people do. Each story has a Redis of its own.
func TestStories(t *testing.T) {
	// Commands would ignore a SIGHUP that this process ignores, as it does under nohup.
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangUps) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			w, err := newWorker()
			if err != nil {
				return err
			}
			env.Defer(w.close)
			key, err := vault.GenerateKey("test")
			if err != nil {
				return err
			}
			env.Setenv("REDIS_URL", "redis://"+w.redis.Addr())
			env.Setenv("HABILITA_KEYS", key)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every command takes a second more
			env.Values[worker{}] = w
			env.Values[simulated{}] = &story{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "vendor": vendor, "longline": longLine, "badutf8": badUTF8, "encode": encode, "chomp": chomp,
			"chainof": chainOf, "simulator": simulator, "wolkvox": countingVendor, "account": account, "logged": logged, "samenames": sameNames, "awaybucket": awayBucket, "awayschedule": awaySchedule,
		},
	})
}

// exits runs a command and checks its exit status: exits 3 enqueue bulk f.csv
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// vendor makes calls that wait, as a worker would: vendor done 3, vendor giveup 1,
// vendor fail 1, vendor ask 1 (asks for a grant that is refused).
func vendor(ts *testscript.TestScript, _ bool, args []string) {
	w := ts.Value(worker{}).(*worker)
	if len(args) == 2 && args[0] == "limit" {
		ts.Check(w.useUp(args[1]))
		return
	}
	if len(args) != 2 {
		ts.Fatalf("usage: vendor done|giveup|fail|ask NUMBER")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for range n {
		ts.Check(w.attempt(outcomes[args[0]]))
	}
}

var outcomes = map[string]ledger.Outcome{
	"done":   {Kind: ledger.Done, Slot: ledger.Release, Code: "202", Msg: "enabled"},
	"giveup": {Kind: ledger.GiveUp, Slot: ledger.Release, Code: "403", Msg: "PLEASE VALIDATE TOKEN", Reason: "bad_token"},
	"fail":   {Kind: ledger.Fail, Slot: ledger.Release, Code: "500", Msg: "-oops", Delay: time.Hour},
	"ask":    {},
}

// worker moves calls on by hand.
type worker struct {
	redis  *miniredis.Miniredis
	rdb    *redis.Client
	ledger *ledger.Ledger
	vendor *wolkvoxtest.Server
	nonce  int
	now    time.Time
}

func newWorker() (*worker, error) {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return nil, err
	}
	m.SetTime(start)
	w := &worker{redis: m, rdb: redis.NewClient(&redis.Options{Addr: m.Addr()}), now: start}
	settings, err := quota.Settings{}.WithDefaults()
	if err != nil {
		return nil, err
	}
	w.ledger = ledger.New(w.rdb, ledger.Options{Admission: ledger.Admission{
		Library: quota.Library(), Args: func() []any { return settings.Args(start, 0, false) },
	}})
	return w, nil
}

func (w *worker) close() {
	_ = w.rdb.Close()
	w.redis.Close()
}

// attempt makes the first call that can be made, waiting for one to be signalled.
func (w *worker) attempt(o ledger.Outcome) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	f, err := w.dispatch(ctx)
	if err != nil {
		return err
	}
	w.nonce++
	s, err := w.ledger.Begin(ctx, f, fmt.Sprint("nonce", w.nonce), "")
	if err != nil || o.Kind == "" {
		return err
	}
	if s.Status != ledger.Running {
		return fmt.Errorf("no attempt: %+v", s)
	}
	w.nonce++
	_, err = w.ledger.Finish(ctx, &s.Attempt, o, ledger.Stop, fmt.Sprint("nonce", w.nonce), "")
	return err
}

func (w *worker) dispatch(ctx context.Context) (ledger.Dispatch, error) {
	for {
		for _, key := range w.redis.Keys() {
			tag, list, _ := strings.Cut(strings.TrimPrefix(key, "habilita:{"), "}:")
			if list != "ready" && list != "due" {
				continue
			}
			if list == "due" && !w.redis.Exists("habilita:{"+tag+"}:ready") {
				// A single call was dispatched at once. Nobody began it, so it is dispatched again.
				w.now = w.now.Add(11 * time.Second)
				w.redis.SetTime(w.now)
			}
			p, err := w.ledger.DispatchAll(ctx, []string{tag}, 1)
			if err != nil {
				return ledger.Dispatch{}, err
			}
			if len(p[0].Dispatches) > 0 {
				return p[0].Dispatches[0], nil
			}
		}
		if tags, err := w.ledger.NextReady(ctx, 10*time.Second, 1); err != nil || len(tags) == 0 {
			return ledger.Dispatch{}, fmt.Errorf("no call came: %v", err)
		}
	}
}

// useUp uses up the day's quota of all tokens, to a number of requests.
func (w *worker) useUp(used string) error {
	tokens, err := w.ledger.Tokens(context.Background())
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if err := w.redis.Set(redisconn.Bucket("habilita", quota.Tag(t))+"used:"+t+":20261123", used); err != nil {
			return err
		}
	}
	return nil
}

// chainOf puts the chain of a JSON object in a file into CHAIN: chainof one.json
func chainOf(ts *testscript.TestScript, _ bool, args []string) {
	var one struct{ Chain string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &one))
	ts.Setenv("CHAIN", one.Chain)
}

// sameNames gives tokens the same names in every run, so that no two tokens of a story share a bucket by chance.
func sameNames(ts *testscript.TestScript, _ bool, _ []string) {
	const sealed = "AQR0ZXN0V0wGSbrv8DyKeB/251rkFGrTdz06OOYtqemtbwHGTf2jj40Y8z5QHWgLroiAtt6EkOZj/1s9aXhGO3XD"
	ts.Setenv("HABILITA_KEYS", "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	key, err := base64.StdEncoding.DecodeString(sealed)
	ts.Check(err)
	ts.Check(vault.RestoreTokenIDKey(context.Background(), ts.Value(worker{}).(*worker).rdb, prefix+":naming", key))
}

// awayBucket makes the bucket of the chain CHAIN unreadable.
func awayBucket(ts *testscript.TestScript, _ bool, _ []string) {
	bucket := "habilita:{" + ledger.Tag(ts.Getenv("CHAIN")) + "}:"
	ts.Check(redistest.Spoil(ts.Value(worker{}).(*worker).redis, bucket, "held", "tokens"))
}

// awaySchedule makes a schedule unreadable: awayschedule NAME
func awaySchedule(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(redistest.Spoil(ts.Value(worker{}).(*worker).redis, "habilita:{s:"+schedule.ID(args[0])+"}:"))
}

// longLine appends a line of this many bytes to a CSV file: longline f.csv 10000000
func longLine(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	long := make([]byte, n)
	for i := range long {
		long[i] = 'x'
	}
	appendTo(ts, args[0], append(append([]byte("0001,"), long...), "\n"...))
}

// badUTF8 appends a row whose ref is not UTF-8.
func badUTF8(ts *testscript.TestScript, _ bool, args []string) {
	appendTo(ts, args[0], []byte("0001,tok-bad-utf8,,caf\xe9\n"))
}

// encode saves a file as other programs do: encode f.csv utf-16le
func encode(ts *testscript.TestScript, _ bool, args []string) {
	encodings := map[string]encoding.Encoding{
		"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
		"utf-16be": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
		"utf-8bom": unicode.UTF8BOM, "windows-1252": charmap.Windows1252,
	}
	out, err := encodings[args[1]].NewEncoder().String(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out), 0o600))
}

// chomp drops the line end of the last line: chomp f.csv
func chomp(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.TrimSuffix(ts.ReadFile(args[0]), "\n")), 0o600))
}

func appendTo(ts *testscript.TestScript, name string, b []byte) {
	f, err := os.OpenFile(ts.MkAbs(name), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.Write(b)
	ts.Check(err)
	ts.Check(f.Close())
}
