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
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/vault"
)

const maxTokenFile = 64 << 10

// token reads the token of a single call from the one place that was chosen. Its
// errors never hold it.
func (a *app) token(file string, stdin bool) (engine.Token, error) {
	from, text := "WOLKVOX_TOKEN", a.getenv("WOLKVOX_TOKEN")
	var err error
	switch {
	case file != "" && stdin:
		return "", usagef("--token-file and --token-stdin can't both be given")
	case file != "":
		from = "--token-file"
		var f *os.File
		if f, err = os.Open(file); err == nil {
			text, err = readToken(f)
			_ = f.Close()
		}
	case stdin:
		from = "--token-stdin"
		text, err = readToken(a.in)
	case text == "":
		return "", usagef("there is no token: give it in WOLKVOX_TOKEN, --token-file FILE or --token-stdin")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	if err := rows.VendorToken(text); err != nil {
		return "", usagef("the token of %s can't be one: %v", from, err)
	}
	return engine.Token(text), nil
}

// readToken reads a token and drops the line's end behind it.
func readToken(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTokenFile))
	return strings.TrimRight(string(b), "\r\n"), err
}

const tokenIDHelp = `Tell the token_id that reports, chains, pages and logs show instead of a token. With it you
find the row of a file that a line of a report is about, and the other way round.

One token comes from WOLKVOX_TOKEN, --token-file or --token-stdin, never from an argument. With
--file, all rows of a file are named, as CSV: row (its line), server, ref, token_id, chain, id.
Bad rows are told as bulk tells them, and the exit status is 3.

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
		w := bufio.NewWriter(a.out)
		if file != "" {
			return errors.Join(a.nameRows(ctx, w, file, in, ids), w.Flush())
		}
		token, err := a.token(tokenFile, stdin)
		if err != nil {
			return err
		}
		if name := ids.Name(string(token)); a.json {
			err = writeJSON(w, map[string]string{"token_id": name})
		} else {
			fmt.Fprintln(w, name)
		}
		return errors.Join(err, w.Flush())
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

func (r namedRow) fields() []string {
	return []string{strconv.Itoa(r.Row), r.Server, control.GuardFormula(r.Ref), r.TokenID, control.GuardFormula(r.Chain), control.GuardFormula(r.ID)}
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
		write = func(r namedRow) error { return table.Write(r.fields()) }
	}
	rejected, badText := 0, false
	for row, err := range in.rows() {
		switch bad, ok := errors.AsType[*rows.RowError](err); {
		case ok:
			rejected++
			badText = badText || bad.BadText
			fmt.Fprintln(a.err, bad)
			continue
		case err != nil:
			return err
		}
		if err := write(namedRow{row.Line, row.Server, row.Ref, ids.Name(row.Token), row.Chain, row.ID}); err != nil {
			return err
		}
	}
	if badText {
		fmt.Fprintf(a.err, "some bytes of %s stand for no character: %s\n", in.name, badTextAdvice)
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return err
	}
	if rejected > 0 {
		return errPartial
	}
	return nil
}
