package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
)

// shardDown fails the commands of a pipeline whose keys are in one bucket, as a cluster does
// while one of its nodes is away.
type shardDown struct{ tag string }

var errDown = errors.New("node is down")

func (shardDown) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (shardDown) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (d shardDown) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		var well, down []redis.Cmder
		for _, c := range cmds {
			if args := c.Args(); len(args) > 1 && strings.Contains(args[1].(string), "{"+d.tag+"}") {
				down = append(down, c)
			} else {
				well = append(well, c)
			}
		}
		var err error
		if len(well) > 0 {
			err = next(ctx, well)
		}
		for _, c := range down {
			c.SetErr(errDown)
			err = errDown
		}
		return err
	}
}

// A part of the ledger that can't be read is said, and hides nothing of the others.
func TestPartOfTheLedgerIsDown(t *testing.T) {
	w := newWorld(t)
	for _, tok := range []string{token("aa"), token("bb")} {
		w.enqueue("", "0001", tok, "", 2)
		w.attempt(tok, giveUp)
	}
	w.rdb.AddHook(shardDown{"aa"})
	var ids []string
	var last error
	for c, err := range w.op.Chains(w.ctx, true) {
		if last = err; err == nil {
			ids = append(ids, c.ID)
		}
	}
	if len(ids) != 1 || control.Unread(last) != 1 || !errors.Is(last, errDown) {
		t.Errorf("chains: %v, %v", ids, last)
	}
	if p, err := w.op.ChainsPage(w.ctx, false, "", 10); err != nil || len(p.Items) != 1 || p.Unread != 1 {
		t.Errorf("page: %+v, %v", p, err)
	}
	if s, err := w.op.HeldGroups(w.ctx, ""); err != nil || s.Chains != 1 || s.Unread != 1 {
		t.Errorf("held: %+v, %v", s, err)
	}
	if page, all, _, err := w.op.HeldPage(w.ctx, "", "", 0, 10); len(page) != 1 || all != 1 || control.Unread(err) != 1 {
		t.Errorf("held page: %v of %d, %v", page, all, err)
	}
	if o, err := w.op.Overview(w.ctx); err != nil || o.Held != 1 || o.Unread != 1 {
		t.Errorf("overview: %+v, %v", o, err)
	}
	if _, _, err := w.op.CountScheduled(w.ctx); control.Unread(err) != 1 {
		t.Errorf("scheduled: %v", err)
	}
	for _, err := range w.op.Scheduled(w.ctx) {
		last = err
	}
	if control.Unread(last) != 1 {
		t.Errorf("scheduled calls: %v", last)
	}
}
