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
	"habilita/internal/rows"
	"habilita/internal/vault"
	"habilita/internal/wolkvox"
)

const maxTokenFile = 64 << 10

// token reads the token of a single call from the one place that was chosen. Its
// errors never hold it.
func (a *app) token(file string, stdin bool) (engine.Token, error) {
	var text, from string
	switch {
	case file != "" && stdin:
		return "", usagef("--token-file and --token-stdin can't both be given")
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		defer func() { _ = f.Close() }()
		if text, err = readToken(f); err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		from = "--token-file"
	case stdin:
		var err error
		if text, err = readToken(a.in); err != nil {
			return "", fmt.Errorf("--token-stdin: %w", err)
		}
		from = "--token-stdin"
	default:
		if text = a.getenv("WOLKVOX_TOKEN"); text == "" {
			return "", usagef("there is no token: give it in WOLKVOX_TOKEN, --token-file FILE or --token-stdin")
		}
		from = "WOLKVOX_TOKEN"
	}
	if err := wolkvox.ValidToken(text); err != nil {
		var bad *wolkvox.TokenError
		if errors.As(err, &bad) {
			return "", usagef("the token of %s can't be one: %s", from, bad.Reason)
		}
		return "", usagef("the token of %s can't be one", from)
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
		stdin, asJSON   bool
		in              inputFlags
	)
	cmd := &cobra.Command{
		Use:     "token-id",
		Short:   "The names of tokens, as reports and pages show them",
		GroupID: groupSee,
		Long:    tokenIDHelp,
		Example: `  enqueue token-id --token-file token.txt
  enqueue token-id --file operations.csv
  enqueue token-id --file operations.csv --json | jq -r 'select(.server == "0042") | .token_id'`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			name := func() (func(string) string, error) { return a.tokenIDs(cmd) }
			w := bufio.NewWriter(a.out)
			if file == "" {
				if f := cmd.Flags(); f.Changed("format") || f.Changed("encoding") {
					return usagef("--format and --encoding are for --file")
				}
				return errors.Join(a.nameOne(w, tokenFile, stdin, asJSON, name), w.Flush())
			}
			if tokenFile != "" || stdin {
				return usagef("--file can't be given with --token-file or --token-stdin")
			}
			return errors.Join(a.nameRows(cmd.Context(), w, file, in, asJSON, name), w.Flush())
		},
	}
	f := cmd.Flags()
	f.StringVar(&tokenFile, "token-file", "", "file that holds the token")
	f.BoolVar(&stdin, "token-stdin", false, "read the token from standard input")
	f.StringVar(&file, "file", "", "name the tokens of all rows of this file of operations (- for standard input)")
	f.BoolVar(&asJSON, "json", false, "one JSON object a token, or with --file a row")
	in.bind(cmd)
	config.Bind(f, config.Keys)
	return cmd
}

// tokenIDs returns what names tokens in the ledger at hand.
func (a *app) tokenIDs(cmd *cobra.Command) (func(string) string, error) {
	s, err := a.open(cmd, config.Keys)
	if err != nil {
		return nil, err
	}
	defer s.close()
	keys, err := vault.ParseKeys(s.set.Keys)
	if err != nil {
		return nil, usagef("HABILITA_KEYS: %v", err)
	}
	n, err := vault.OpenTokenIDKey(cmd.Context(), s.rdb, prefix+":naming", keys)
	if errors.Is(err, vault.ErrNoTokenIDKey) {
		return nil, errors.New("nothing was enqueued on this Redis yet, so tokens have no names there: enqueue a call or start a worker first")
	}
	if err != nil {
		return nil, err
	}
	return n.Name, nil
}

func (a *app) nameOne(w io.Writer, file string, stdin, asJSON bool, tokenIDs func() (func(string) string, error)) error {
	token, err := a.token(file, stdin)
	if err != nil {
		return err
	}
	name, err := tokenIDs()
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(w, map[string]string{"token_id": name(string(token))})
	}
	_, err = fmt.Fprintln(w, name(string(token)))
	return err
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

func (a *app) nameRows(ctx context.Context, w io.Writer, file string, o inputFlags, asJSON bool, tokenIDs func() (func(string) string, error)) error {
	in, err := a.openInput(ctx, file, o)
	if err != nil {
		return err
	}
	defer in.close()
	name, err := tokenIDs()
	if err != nil {
		return err
	}
	write := func(r namedRow) error { return writeJSON(w, r) }
	table := csv.NewWriter(w)
	if !asJSON {
		if err := table.Write([]string{"row", "server", "ref", "token_id", "chain", "id"}); err != nil {
			return err
		}
		write = func(r namedRow) error { return table.Write(r.fields()) }
	}
	rejected, badText := 0, false
	for row, err := range in.rows() {
		var bad *rows.RowError
		switch {
		case errors.As(err, &bad):
			rejected++
			badText = badText || bad.BadText
			fmt.Fprintln(a.err, bad)
			continue
		case err != nil:
			return err
		}
		if err := write(namedRow{row.Line, row.Server, row.Ref, name(row.Token), row.Chain, row.ID}); err != nil {
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
