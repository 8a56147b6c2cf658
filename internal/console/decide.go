package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"habilita/internal/access"
	"habilita/internal/actionlog"
	"habilita/internal/operator"
)

// decideTimeout is how long a decision may take; one that was cut off is given again.
const decideTimeout = 45 * time.Second

// asked is a decision that somebody asks for: what, and on what.
type asked struct {
	Do    string // retry, skip or cancel
	Chain string // its id; or
	Batch string // its name
}

func askedOf(v url.Values) (asked, error) {
	a := asked{Do: v.Get("do"), Chain: v.Get("chain"), Batch: v.Get("batch")}
	if a.Do != "retry" && a.Do != "skip" && a.Do != "cancel" {
		return a, errQuery
	}
	if err := a.selection().Check(); err != nil {
		return a, errQuery
	}
	return a, nil
}

func (a asked) selection() operator.Selection {
	return operator.Selection{Chain: a.Chain, Batch: a.Batch}
}

// Scope is chain or batch, for texts.
func (a asked) Scope() string {
	if a.Chain != "" {
		return "chain"
	}
	return "batch"
}

// back is where one came from.
func (a asked) back() string {
	if a.Chain != "" {
		return "/chains"
	}
	return batchPath(a.Batch)
}

// decideData is what the page asks about.
type decideData struct {
	asked
	OfChain *operator.Chain
	OfBatch *batchView
	Back    string
}

// decidePage says what a decision will do, and asks.
func (c *Console) decidePage(w http.ResponseWriter, r *http.Request) {
	a, err := askedOf(r.URL.Query())
	if err != nil {
		c.notFound(w, r)
		return
	}
	if !access.From(r.Context()).CanWrite {
		c.fail(w, r, failure{status: http.StatusForbidden, key: "readonly", back: a.back()})
		return
	}
	d := decideData{asked: a, Back: a.back()}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if a.Chain != "" {
		ch, err := c.o.Operator.Chain(ctx, a.Chain)
		if err == nil && !ch.Held() {
			err = &operator.UnknownChainError{ID: a.Chain, Held: true}
		}
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		d.OfChain = &ch
	} else {
		s, err := c.o.Operator.Status(ctx, a.Batch)
		if err != nil {
			c.failRead(w, r, err)
			return
		}
		v := c.view(s)
		d.OfBatch = &v
	}
	p := c.newPage(r, "decide")
	p.Title = c.sites[p.Lang].sayOr("decide."+a.Do+".title", "")
	p.Data = d
	c.show(w, r, http.StatusOK, p)
}

// decideNow does it, writes it down and leads back.
func (c *Console) decideNow(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		c.notFound(w, r)
		return
	}
	a, err := askedOf(r.PostForm)
	if err != nil {
		c.notFound(w, r)
		return
	}
	who := access.From(r.Context())
	if !who.CanWrite {
		c.fail(w, r, failure{status: http.StatusForbidden, key: "readonly", back: a.back()})
		return
	}
	// A browser that leaves does not cut off what was decided.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), decideTimeout)
	defer cancel()
	n, err := c.decide(ctx, a)
	var gone *operator.UnknownChainError
	if errors.As(err, &gone) {
		c.fail(w, r, failure{status: http.StatusConflict, key: "decided", back: a.back()})
		return
	}
	noted := c.note(context.WithoutCancel(ctx), who, a, n, err)
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	q := url.Values{"done": {a.Do}, "n": {strconv.Itoa(n)}}
	if noted != nil {
		q.Set("unlogged", "1")
	}
	http.Redirect(w, r, a.back()+"?"+q.Encode(), http.StatusSeeOther)
}

func (c *Console) decide(ctx context.Context, a asked) (int, error) {
	switch a.Do {
	case "retry":
		return c.o.Operator.Retry(ctx, a.selection())
	case "skip":
		return c.o.Operator.Skip(ctx, a.selection())
	default:
		return c.o.Operator.Cancel(ctx, a.selection())
	}
}

// note keeps who did what. The words are those of the other ways to act, so that the
// log is of one language.
func (c *Console) note(ctx context.Context, who access.Principal, a asked, n int, failed error) error {
	noun := "chain"
	if a.Do == "cancel" {
		noun = "call"
	}
	if n != 1 {
		noun += "s"
	}
	result := fmt.Sprintf("%d %s", n, noun)
	if failed != nil {
		result = fmt.Sprintf("failed after %s: %v", result, failed)
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, err := c.o.Actions.Append(ctx, actionlog.Entry{
		Who: who.Name, Via: actionlog.Console, Action: a.Do, Target: a.selection().String(), Result: result,
	})
	if err != nil {
		c.o.Log.Error().Err(err).Str("who", who.Name).Str("action", a.Do).Str("target", a.selection().String()).
			Msg("what was done is not in the action log")
	}
	return err
}
