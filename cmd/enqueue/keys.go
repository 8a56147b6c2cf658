package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/say"
	"habilita/internal/schedule"
	"habilita/internal/vault"
	"habilita/internal/web/guard"
	"habilita/internal/webhook"
)

func (a *app) keygen() *cobra.Command {
	var id, api string
	var readOnly, hook bool
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Print a new sealing key, API key or webhook secret",
		Long: `Print a new sealing key: id:base64 of 32 random bytes. Redis keeps tokens sealed under it.
Keep the key: nobody can open the tokens without it. All producers and workers of a Redis need
the same keys. "enqueue rekey --help" says how to change to a new one.

With --api NAME, print a key of the HTTP API and the pages instead, as HABILITA_API_KEYS of
the worker takes it: NAME:KIND:KEY. The audit log shows NAME, and a program sends KEY. Separate
several keys with commas.

With --webhook, print a secret for WEBHOOK_SECRETS of the worker, which signs events. To
change it, give both, comma separated, until the receivers have the new one.`,
		Example: `  export HABILITA_KEYS=$(enqueue keygen)
  (umask 077 && enqueue keygen --id k2 > habilita.key)   # HABILITA_KEYS_FILE=habilita.key
  (umask 077 && enqueue keygen --api billing > api.keys)   # HABILITA_API_KEYS_FILE=api.keys
  enqueue keygen --api dashboard --read-only
  (umask 077 && enqueue keygen --webhook > webhook.secret)   # WEBHOOK_SECRETS_FILE=webhook.secret`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var key string
			var err error
			switch forAPI := cmd.Flags().Changed("api"); {
			case hook && (id != "" || forAPI), forAPI && id != "":
				return usagef("--id, --api and --webhook make different keys: give one of them")
			case readOnly && !forAPI:
				return usagef("--read-only is for a key of the HTTP API: give --api NAME too")
			case hook:
				key = webhook.GenerateSecret()
			case forAPI:
				key, err = guard.GenerateKey(api, readOnly)
			default:
				key, err = vault.GenerateKey(id)
			}
			if err != nil {
				return usagef("the name of the key: %v", err)
			}
			_, err = fmt.Fprintln(a.out, key)
			return err
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "id of the key, 1 to 16 letters, digits, _ or - (default: k and the date)")
	cmd.Flags().StringVar(&api, "api", "", "make a key of the HTTP API for somebody of this `name`")
	cmd.Flags().BoolVar(&hook, "webhook", false, "make a secret that signs webhooks")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "with --api: a key that may only look")
	return cmd
}

func (a *app) rekey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Seal all tokens under the first key",
		Long: `Seal all tokens, the rows of schedules, and the key that tokens get their names from, under the
first of HABILITA_KEYS. No token changes its token_id, and nothing stops meanwhile.

Restart producers and workers with HABILITA_KEYS=old,new. When all of them run with both, restart
them with HABILITA_KEYS=new,old. Then run this. Then remove the old key from HABILITA_KEYS. If it
was cut off, run it again. It is refused while a worker runs that lacks the new key.`,
		Example: `  HABILITA_KEYS="$NEW,$OLD" enqueue rekey`,
	}
	a.jsonFlag(cmd, `one JSON object: {"key","tokens","schedule_chunks","naming_key"}`)
	return a.onRedis(cmd, redisconn.Operator, config.Keys, a.runRekey)
}

func (a *app) runRekey(ctx context.Context, s *session, _ []string) error {
	keys, err := vault.ParseKeys(s.set.Keys)
	if err != nil {
		return err
	}
	if err := membership.New(s.rdb, prefix).CheckKeys(ctx, membership.Self(membership.Producer, keys.IDs()...)); err != nil {
		return err
	}
	naming, err := vault.RekeyTokenIDKey(ctx, s.rdb, prefix+":naming", keys)
	if err != nil {
		return err
	}
	n, err := s.control.Reseal(ctx, func(tokenID, sealed string) (string, error) {
		anew, _, err := keys.ReSeal([]byte(sealed), tokenID)
		if err != nil {
			err = fmt.Errorf("token %s: %w", tokenID, err)
		}
		return string(anew), err
	})
	if err != nil && control.Unread(err) == 0 {
		return fmt.Errorf("%s sealed anew before it stopped: %w", say.Count(n, "token"), err)
	}
	chunks, more := schedule.NewStore(s.rdb, prefix).Reseal(ctx, keys)
	unread := errors.Join(err, more)
	if err := more; err != nil && control.Unread(err) == 0 {
		return fmt.Errorf("%s sealed anew, and %s of schedules before it stopped: %w", say.Count(n, "token"), say.Count(chunks, "chunk"), err)
	}
	first := keys.First()
	return a.give(map[string]any{"key": first, "tokens": n, "schedule_chunks": chunks, "naming_key": naming}, unread, func() {
		others := "the others were already"
		if unread != nil {
			others = "some can't be reached now"
		}
		fmt.Fprintf(a.out, "%s sealed anew under key %s; %s\n", say.Count(n, "token"), first, others)
		if chunks > 0 {
			fmt.Fprintf(a.out, "%s of schedules' rows sealed anew too\n", say.Count(chunks, "chunk"))
		}
		if naming {
			fmt.Fprintln(a.out, "the token-ID key was sealed anew too")
		}
	})
}

// maxToken is how many bytes of standard input are read for a token; a longer text is not a token.
const maxToken = 64 << 10

// token reads the token of a single call from the one place that was chosen. Its
// errors never contain it.
func (a *app) token(file string, stdin bool) (engine.Token, error) {
	from, raw := "WOLKVOX_TOKEN", []byte(a.getenv("WOLKVOX_TOKEN"))
	var err error
	switch {
	case file != "" && stdin:
		return "", usagef("--token-file and --token-stdin can't both be given")
	case file != "":
		from = "--token-file"
		raw, err = os.ReadFile(file)
	case stdin:
		from = "--token-stdin"
		raw, err = io.ReadAll(io.LimitReader(a.in, maxToken))
	case len(raw) == 0:
		return "", usagef("there is no token: give it in WOLKVOX_TOKEN, --token-file FILE or --token-stdin")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	text := strings.TrimRight(string(raw), "\r\n") // the line's end behind it
	if err := rows.VendorToken(text); err != nil {
		return "", usagef("the token of %s can't be one: %v", from, err)
	}
	return engine.Token(text), nil
}

const tokenIDHelp = `Print the token_id that reports, chains, pages and logs show instead of a token. With it you
find the row of a file that a line of a report is about, and the other way round.

One token comes from WOLKVOX_TOKEN, --token-file or --token-stdin, never from an argument. With
--file, all rows of a file are named, as CSV: row (its line), server, ref, token_id, chain, id.
Bad rows are shown as bulk shows them, and the exit status is 3.

It prints names only, and writes nothing to Redis. "enqueue run" has names of its own for each
file, which FILE.results.csv shows.`

func (a *app) tokenID() *cobra.Command {
	var (
		tokenFile, file string
		stdin           bool
		in              inputFlags
	)
	cmd := &cobra.Command{
		Use:   "token-id",
		Short: "The names of tokens, as reports and pages show them",
		Long:  tokenIDHelp,
		Example: `  enqueue token-id --token-file token.txt
  enqueue token-id --file operations.csv
  enqueue token-id --file operations.csv --json | jq -r 'select(.server == "0042") | .token_id'`,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch f := cmd.Flags(); {
			case file == "" && (f.Changed("format") || f.Changed("encoding")):
				return usagef("--format and --encoding are for --file")
			case file != "" && (tokenFile != "" || stdin):
				return usagef("--file can't be given with --token-file or --token-stdin")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&tokenFile, "token-file", "", "file that holds the token")
	f.BoolVar(&stdin, "token-stdin", false, "read the token from standard input")
	f.StringVar(&file, "file", "", "name the tokens of all rows of this file of operations (- for standard input)")
	a.jsonFlag(cmd, "one JSON object a token, or with --file a row")
	in.bind(cmd)
	return a.onRedis(cmd, redisconn.Reader, config.Keys, func(ctx context.Context, s *session, _ []string) error {
		keys, err := vault.ParseKeys(s.set.Keys)
		if err != nil {
			return err
		}
		ids, err := vault.OpenTokenIDKey(ctx, s.rdb, prefix+":naming", keys)
		if errors.Is(err, vault.ErrNoTokenIDKey) {
			return errors.New("nothing was enqueued on this Redis yet, so tokens have no names there: enqueue a call or start a worker first")
		}
		if err != nil {
			return err
		}
		if file != "" {
			w := bufio.NewWriter(a.out)
			return errors.Join(a.nameRows(ctx, w, file, in, ids), w.Flush())
		}
		token, err := a.token(tokenFile, stdin)
		if err != nil {
			return err
		}
		name := ids.Name(string(token))
		return a.give(map[string]string{"token_id": name}, nil, func() { fmt.Fprintln(a.out, name) })
	})
}

// namedRow is a row of token-id --file. It never holds the token.
type namedRow struct {
	Row     int    `json:"row"`
	Server  string `json:"server"`
	Ref     string `json:"ref"`
	TokenID string `json:"token_id"`
	Chain   string `json:"chain"` // as the file names it
	ID      string `json:"id"`
}

func (a *app) nameRows(ctx context.Context, w io.Writer, file string, o inputFlags, ids *vault.TokenIDs) error {
	in, err := a.openInput(ctx, file, o)
	if err != nil {
		return err
	}
	defer in.close()
	write := func(r namedRow) error { return writeJSON(w, r) }
	table := csv.NewWriter(w)
	if !a.json {
		if err := table.Write([]string{"row", "server", "ref", "token_id", "chain", "id"}); err != nil {
			return err
		}
		write = func(r namedRow) error {
			return table.Write([]string{strconv.Itoa(r.Row), r.Server, control.GuardFormula(r.Ref), r.TokenID, control.GuardFormula(r.Chain), control.GuardFormula(r.ID)})
		}
	}
	rejected := 0
	for row, err := range in.rows() {
		switch bad, ok := errors.AsType[*rows.RowError](err); {
		case ok:
			rejected++
			in.badText = in.badText || bad.BadText
			fmt.Fprintln(a.err, bad)
			continue
		case err != nil:
			return err
		}
		if err := write(namedRow{row.Line, row.Server, row.Ref, ids.Name(row.Token), row.Chain, row.ID}); err != nil {
			return err
		}
	}
	in.tellBadText(a.err)
	table.Flush()
	if err := table.Error(); err != nil {
		return err
	}
	if rejected > 0 {
		return errPartial
	}
	return nil
}
