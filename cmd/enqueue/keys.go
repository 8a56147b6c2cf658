package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/redisconn"
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
		Long: `Print a new sealing key: id:base64 of 32 random bytes. Tokens rest in Redis sealed under it.
Keep it: nobody can open them without it. All producers and workers of a Redis need the
same keys. To change to a new key, put it before the old one
(HABILITA_KEYS=new,old), restart the workers, and run "enqueue rekey".

With --api NAME, print a key of the HTTP API and the pages instead, as HABILITA_API_KEYS of
the worker takes it: NAME:KIND:KEY. The audit log shows NAME, and a program sends
KEY. Several stand comma separated.

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
			case hook && (id != "" || readOnly || forAPI):
				return usagef("--webhook makes a secret of webhooks: it goes with no other flag")
			case hook:
				key = webhook.GenerateSecret()
			case forAPI && id != "":
				return usagef("--id and --api make different keys: give one of them")
			case forAPI:
				if key, err = guard.GenerateKey(api, readOnly); err != nil {
					return usagef("--api: %v", err)
				}
			case readOnly:
				return usagef("--read-only is for a key of the HTTP API: give --api NAME too")
			default:
				if key, err = vault.GenerateKey(id); err != nil {
					return usagef("--id: %v", err)
				}
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

First restart producers and workers with the new key in front. Then run this. Then remove the
old key from HABILITA_KEYS. If it was cut off, run it again.`,
		Example: `  NEW=$(enqueue keygen --id k2)
  HABILITA_KEYS="$NEW,$HABILITA_KEYS" enqueue rekey`,
	}
	a.jsonFlag(cmd, `one JSON object: {"key","tokens","schedule_chunks","naming_key"}`)
	return a.onRedis(cmd, redisconn.Operator, config.Keys, a.runRekey)
}

func (a *app) runRekey(ctx context.Context, s *session, _ []string) error {
	keys, err := vault.ParseKeys(s.set.Keys)
	if err != nil {
		return err
	}
	naming, err := vault.RekeyTokenIDKey(ctx, s.rdb, prefix+":naming", keys)
	if err != nil {
		return err
	}
	n, err := s.op.Reseal(ctx, func(tokenID, sealed string) (string, error) {
		if sealed == "" {
			return "", nil
		}
		anew, changed, err := keys.ReSeal([]byte(sealed), tokenID)
		switch {
		case err != nil:
			return "", fmt.Errorf("token %s: %w", tokenID, err)
		case !changed:
			return "", nil
		}
		return string(anew), nil
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
	if a.json {
		return errors.Join(writeJSON(a.out, map[string]any{"key": first, "tokens": n, "schedule_chunks": chunks, "naming_key": naming}), unread)
	}
	others := "the others were so already"
	if unread != nil {
		others = "some can't be reached now"
	}
	fmt.Fprintf(a.out, "%s sealed anew under key %s; %s\n", say.Count(n, "token"), first, others)
	if chunks > 0 {
		fmt.Fprintf(a.out, "%s of schedules' rows was sealed anew too\n", say.Count(chunks, "chunk"))
	}
	if naming {
		fmt.Fprintln(a.out, "the token-ID key was sealed anew too")
	}
	return unread
}
