package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/webhook"
)

// webhooksShown is how many waiting deliveries are listed for each receiver.
const webhooksShown = 1000

func (a *app) webhooks() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Webhooks that wait for their receivers, and those that were given up",
		Long: `The events that workers send to the receivers of WEBHOOK_URL and that are not delivered:
those that wait or failed and are tried again ("waiting": the first 1,000 of each receiver),
and the last 1,000 that were given up 24 h after they happened ("given_up"). A receiver is
named by a hash of its address, which may hold a secret; "origin" is the part that may be
shown. A webhook that was delivered is in no list.`,
		Example: `  enqueue webhooks
  enqueue webhooks --json | jq -r 'select(.state == "given_up") | .event'
  enqueue webhooks test                       # can workers reach the receivers?`,
	}
	a.jsonFlag(cmd, "one JSON object a webhook")
	cmd.AddCommand(a.webhooksTest())
	return a.onRedis(cmd, redisconn.Reader, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		header := table.Row{"state", "type", "happened", "receiver", "tries", "next", "error", "event"}
		return list(a, sequence(deliveries(ctx, webhook.NewOutbox(s.rdb, prefix))), "no webhook waits, and none was given up", header, func(r webhook.Delivery) table.Row {
			return table.Row{r.State, r.Type, a.local(r.At), r.Receiver + " " + r.Origin, r.Tries, a.local(r.Next), r.Error, r.Event}
		})
	})
}

// deliveries returns the deliveries that wait and those that were given up.
func deliveries(ctx context.Context, o *webhook.Outbox) (all []webhook.Delivery, err error) {
	receivers, err := o.Receivers(ctx)
	if err != nil {
		return nil, err
	}
	origins := map[string]string{}
	for _, r := range receivers {
		origins[r.ID] = r.Origin
		wait, err := o.Deliveries(ctx, r.ID, webhooksShown)
		if err != nil {
			return nil, err
		}
		all = append(all, wait...)
	}
	lost, err := o.Lost(ctx)
	all = append(all, lost...)
	for i := range all {
		all[i].Origin = origins[all[i].Receiver]
	}
	return all, err
}

func (a *app) webhooksTest() *cobra.Command {
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send an event of type test to every receiver, and say whether it was taken",
		Long: `Write an event of type "test" for every receiver that workers have, let the workers send it,
and wait for the first try. So the event goes the same way as every other one.`,
		Example: `  enqueue webhooks test`,
	}
	cmd.Flags().DurationVar(&patience, "timeout", time.Minute, "how long to wait for the workers")
	return a.onRedis(cmd, redisconn.Operator, 0, func(ctx context.Context, s *session, _ []string) error {
		o := webhook.NewOutbox(s.rdb, prefix)
		receivers, err := o.Receivers(ctx)
		if err != nil {
			return err
		}
		if len(receivers) == 0 {
			return errors.New("no worker has a receiver: set WEBHOOK_URL and WEBHOOK_SECRETS of the workers, and start them again")
		}
		if noWorker(ctx, s) {
			return errors.New("no worker is running, and workers send webhooks: start one with: worker")
		}
		e := webhook.NewTest(time.Now())
		if _, _, err := o.Tell(ctx, webhook.Mark{}, &e, receivers); err != nil {
			return err
		}
		return a.awaitTest(ctx, o, e.ID, receivers, time.Now().Add(patience))
	})
}

// awaitTest waits for the first try of an event at each receiver, and says how it went.
func (a *app) awaitTest(ctx context.Context, o *webhook.Outbox, id string, receivers []webhook.Receiver, until time.Time) error {
	failed := 0
	for len(receivers) > 0 {
		if time.Now().After(until) {
			return fmt.Errorf("no result for %s: no worker sent the event in time", say.Count(len(receivers), "receiver"))
		}
		var open []webhook.Receiver
		for _, r := range receivers {
			d, waits, err := o.Delivery(ctx, r.ID, id)
			switch {
			case err != nil:
				return err
			case !waits:
				fmt.Fprintf(a.out, "%s %s took it\n", r.ID, r.Origin)
			case d.Error != "":
				failed++
				fmt.Fprintf(a.out, "%s %s did not take it, and is tried again: %s\n", r.ID, r.Origin, d.Error)
			default:
				open = append(open, r)
			}
		}
		receivers = open
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	if failed > 0 {
		return errors.New(say.Count(failed, "receiver") + " did not take it")
	}
	return nil
}
