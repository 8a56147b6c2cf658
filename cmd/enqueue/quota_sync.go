package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/wolkvox"
)

// syncRow is what a sync found of a token, as --json gives it.
type syncRow struct {
	TokenID     string `json:"token_id"`
	Server      string `json:"server"`
	VendorUsed  int    `json:"vendor_used"`
	VendorLimit int    `json:"vendor_limit"`
	UsedBefore  int    `json:"used_before"`
	UsedAfter   int    `json:"used_after"`
	Quota       int    `json:"quota"`
	Difference  int    `json:"drift"`
	Error       string `json:"error,omitempty"`
}

func (a *app) quotaSync() *cobra.Command {
	var token, batch, server string
	var all, asJSON bool
	groups := []config.Group{config.Keys, config.Limits, config.Calls}
	cmd := &cobra.Command{
		Use:   "sync (--token-id T | --batch B | --all)",
		Short: "Ask the vendor what tokens have used, and count no less",
		Long: `Ask the vendor for its own count of a token (token_info). If it is higher than ours, because
another program uses the token, ours is raised. It is never lowered, and licences stay.

Each question is a request itself: it takes a slot and counts on the quota. It goes to the
server of a call of the token, or to --server. The drift is the vendor's count minus ours;
the metric habilita_quota_drift has the highest. Exit status 1 if a token could not be asked
about.`,
		Example: `  enqueue quota sync --token-id lc5wqxamtfbd5u5vkr6c5d34
  enqueue quota sync --batch onboarding-2026-11
  enqueue quota sync --all --json | jq -r 'select(.drift > 0) | .token_id'`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := 0
			for _, is := range []bool{token != "", batch != "", all} {
				if is {
					given++
				}
			}
			if given != 1 {
				return usagef("%s needs one of --token-id T, --batch B and --all", cmd.CommandPath())
			}
			if token != "" && !ledger.IsToken(token) {
				return usagef("--token-id: %v", control.ErrTokenID)
			}
			if server != "" {
				name, err := wolkvox.ParseServer(server)
				if err != nil {
					return usagef("--server: %v", err)
				}
				server = string(name)
			}
			s, err := a.openAs(cmd, redisconn.Operator, groups...)
			if err != nil {
				return err
			}
			defer s.close()
			if batch != "" {
				if _, err := s.op.Status(cmd.Context(), batch); err != nil && control.Unread(err) == 0 {
					return err
				}
			}
			q, err := engine.OpenQuotaSync(cmd.Context(), engine.WorkerOptions{
				Options:  engine.Options{Keys: s.set.Keys, Prefix: prefix, Quota: quotaSettings(s.set)},
				RedisURL: s.set.RedisURL, WolkvoxURL: s.set.WolkvoxURL,
				CallTimeout: s.set.CallTimeout, VendorTimeout: s.set.VendorTimeout, SlotMargin: s.set.SlotMargin,
			})
			if err != nil {
				return err
			}
			defer q.Close()
			var tokens []string
			if token != "" {
				tokens = []string{token}
			}
			servers, unread := q.Servers(cmd.Context(), tokens, batch)
			if unread != nil && control.Unread(unread) == 0 {
				return unread
			}
			if token != "" && servers[token] == "" {
				servers[token] = ""
			}
			sum, err := a.syncTokens(cmd, q, servers, server, asJSON)
			if sum.sent > 0 {
				s.op.Note(cmd.Context(), "sync", syncTarget(token, batch), sum.String()+control.UnreadNote(unread), nil)
			}
			return errors.Join(unread, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&token, "token-id", "", "the token's HMAC, as in `enqueue quota`; never the token")
	f.StringVar(&batch, "batch", "", "the tokens of a batch")
	f.BoolVar(&all, "all", false, "all tokens of which a call is kept")
	f.StringVar(&server, "server", "", "ask this server, and not that of a call of the token")
	f.BoolVar(&asJSON, "json", false, "one JSON object a token")
	config.Bind(f, groups...)
	return cmd
}

// syncTarget is what a sync is of, in the audit log.
func syncTarget(token, batch string) string {
	switch {
	case token != "":
		return "token " + token
	case batch != "":
		return "batch " + batch
	}
	return "all tokens"
}

// syncSum is what a sync of tokens came to.
type syncSum struct {
	sent          int // questions that may have reached the vendor
	asked, failed int
	raised        int // counts of ours
	highest       int // drift
}

// String is it for the audit log.
func (s syncSum) String() string {
	text := fmt.Sprintf("%s asked about, %s raised", count(s.asked, "token"), count(s.raised, "count"))
	if s.failed > 0 {
		text += fmt.Sprintf(", %d failed", s.failed)
	}
	return text
}

func (s *syncSum) add(r engine.Synced, err error) {
	var not *engine.NotAskedError
	var notSent *wolkvox.NotSentError
	if !errors.As(err, &not) && !errors.As(err, &notSent) {
		s.sent++
	}
	if err != nil {
		s.failed++
		return
	}
	if s.asked == 0 || r.Difference > s.highest {
		s.highest = r.Difference
	}
	if s.asked++; r.After > r.Before {
		s.raised++
	}
}

// syncTokens asks about each token, one after the other, and shows what was found.
func (a *app) syncTokens(cmd *cobra.Command, q *engine.QuotaSync, servers map[string]string, only string, asJSON bool) (sum syncSum, err error) {
	t := a.table("token_id", "vendor used", "vendor limit", "used before", "used after", "quota", "drift")
	for _, id := range slices.Sorted(maps.Keys(servers)) {
		at := servers[id]
		if only != "" {
			at = only
		}
		var r engine.Synced
		err := error(&engine.NotAskedError{Why: "no call of it is kept that tells its server: give --server S"})
		if at != "" {
			r, err = q.Sync(cmd.Context(), id, at)
		}
		sum.add(r, err)
		row := syncRow{id, at, r.VendorUsed, r.VendorLimit, r.Before, r.After, r.Limit, r.Difference, ""}
		if err != nil {
			row.Error = err.Error()
			fmt.Fprintf(a.err, "token %s: %v\n", id, err)
		} else {
			if r.VendorLimit != r.Limit {
				fmt.Fprintf(a.err, "warning: token %s: the vendor allows %d requests a day, our quota is %d (licences x 1000); nothing was changed: give the right --licenses with a call of it\n",
					id, r.VendorLimit, r.Limit)
			}
			t.AppendRow(table.Row{id, r.VendorUsed, r.VendorLimit, r.Before, r.After, r.Limit, fmt.Sprintf("%+d", r.Difference)})
		}
		if asJSON {
			if err := writeJSON(a.out, row); err != nil {
				return sum, err
			}
		}
		if cmd.Context().Err() != nil {
			break
		}
	}
	if !asJSON && sum.asked > 0 {
		t.Render()
	}
	if sum.asked > 0 {
		if err := q.Note(cmd.Context(), sum.highest); err != nil {
			return sum, fmt.Errorf("the metric was not noted: %w", err)
		}
	}
	if sum.failed > 0 {
		return sum, errors.New(count(sum.failed, "token") + " could not be asked about")
	}
	if len(servers) == 0 && !asJSON {
		fmt.Fprintln(a.out, "no token is known yet")
	}
	return sum, nil
}
