package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/web/guard"
	"habilita/internal/web/hub"
	"habilita/internal/wolkvox"
)

// asked is a decision that somebody asks for: what, and on what.
type asked struct {
	Do                string // retry, skip or cancel, of what is selected; or lift, of a server (whose breaker is closed) or a token
	control.Selection        // a chain, a batch, or what is held for a cause, of a batch or of all; or a server
	Token             string // its token_id, whose cool-down is ended
	Scope             string // chain, group, batch, server or token, for texts
	Back              string // the page that the person came from
}

func askedOf(v url.Values) (asked, error) {
	of := control.Selection{Chain: v.Get("chain"), Batch: v.Get("batch"), Cause: v.Get("cause"), Server: v.Get("server")}
	of.All = of.Cause != "" && of.Batch == "" && of.Chain == ""
	a := asked{Do: v.Get("do"), Selection: of, Token: v.Get("token")}
	a.Scope, a.Back = a.scope()
	switch a.Do {
	case "retry", "skip", "cancel":
		if _, err := a.Check(); a.Server != "" || a.Token != "" || err != nil {
			return a, errQuery
		}
	case "lift":
		_, err := wolkvox.ParseServer(a.Server)
		server, token := err == nil, ledger.IsToken(a.Token)
		if of != (control.Selection{Server: of.Server}) || server == token || server != (a.Server != "") || token != (a.Token != "") {
			return a, errQuery
		}
	default:
		return a, errQuery
	}
	return a, nil
}

// scope returns Scope and Back.
func (a asked) scope() (scope, back string) {
	switch {
	case a.Chain != "":
		return "chain", "/chains"
	case a.Server != "":
		return "server", "/servers"
	case a.Token != "":
		return "token", "/tokens"
	case a.Cause != "":
		return "group", address("/chains", "batch", a.Batch)
	}
	return "batch", batchPath(a.Batch)
}

// decideData is what the page asks about.
type decideData struct {
	asked
	OfChain *control.Chain
	OfBatch *control.Status
	Held    int // chains of a group, or of a batch that is skipped
	Futile  []futileSkip
}

// futileSkip are chains of a decision whose next call fails for the same reason if this one is skipped.
type futileSkip struct {
	Remedy control.Remedy
	Chains int
}

// deciding calls do with what is asked for, if the caller may decide.
func (c *Console) deciding(do func(http.ResponseWriter, *http.Request, asked)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		err := r.ParseForm()
		form := r.PostForm // what changes something is no part of an address
		if r.Method != http.MethodPost {
			form = r.Form
		}
		a, fault := askedOf(form)
		switch {
		case err != nil || fault != nil:
			c.notFound(w, r)
		case !guard.From(r.Context()).CanWrite:
			c.fail(w, r, failure{Status: http.StatusForbidden, Key: "readonly", Back: a.Back})
		default:
			do(w, r, a)
		}
	}
}

// decidePage says what a decision will do, and asks.
func (c *Console) decidePage(w http.ResponseWriter, r *http.Request, a asked) {
	ctx, cancel := context.WithTimeout(r.Context(), hub.Patience)
	defer cancel()
	d, err := c.about(ctx, a)
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	p := c.newPage(r, "decide")
	p.Title = c.sites[p.Lang].sayOr("decide."+a.Do+".title", "")
	p.Data = d
	c.show(w, r, http.StatusOK, p)
}

// about reads what there is to say about a decision.
func (c *Console) about(ctx context.Context, a asked) (d decideData, err error) {
	d = decideData{asked: a}
	held := map[control.Remedy]int{} // chains
	switch a.Scope {
	case "chain":
		d.OfChain = new(control.Chain)
		if *d.OfChain, err = c.o.Control.Chain(ctx, a.Chain); err == nil && !d.OfChain.Held() {
			err = &control.UnknownError{Kind: control.ErrNotHeld, Name: a.Chain}
		}
		held[control.RemedyOf(control.Cause(d.OfChain.Head))] = 1
	case "batch":
		d.OfBatch = new(control.Status)
		*d.OfBatch, err = c.o.Control.Status(ctx, a.Batch)
		_, err = control.SplitUnread(err)
	}
	if err == nil && (a.Scope == "group" || a.Scope == "batch" && a.Do == "skip") {
		var sum control.HeldSummary
		sum, err = c.o.Control.HeldGroups(ctx, a.Batch)
		for _, g := range sum.Groups {
			if a.Scope == "batch" || g.Cause == a.Cause {
				held[control.RemedyOf(g.Cause)] += g.Chains
				d.Held += g.Chains
			}
		}
		if err == nil && d.Held == 0 && a.Scope == "group" {
			err = &control.UnknownError{Kind: control.ErrNotHeld}
		}
	}
	for _, r := range []control.Remedy{control.RemedyToken, control.RemedyKey} {
		if n := held[r]; n > 0 && a.Do == "skip" {
			d.Futile = append(d.Futile, futileSkip{r, n})
		}
	}
	return d, err
}

// decideNow decides, writes it down and leads back.
func (c *Console) decideNow(w http.ResponseWriter, r *http.Request, a asked) {
	ctx, cancel := guard.Deciding(r.Context())
	defer cancel()
	lost := false
	ctx = control.WithActor(ctx, control.Actor{Who: guard.From(ctx).Name, Via: control.ByConsole, Told: func(e control.AuditEntry, err error) {
		if lost = err != nil; lost {
			c.o.Log.Error().Err(err).Str("who", e.Who).Str("action", e.Action).Str("target", e.Target).
				Msg("what was done is not in the audit log")
		}
	}})
	n, err := c.decide(ctx, a)
	c.hub.Forget()
	if errors.Is(err, control.ErrNotHeld) || errors.Is(err, control.ErrNoChain) {
		c.fail(w, r, failure{Status: http.StatusConflict, Key: "decided", Back: a.Back})
		return
	}
	unread, err := control.SplitUnread(err)
	if err != nil {
		c.failRead(w, r, err)
		return
	}
	leaveNotice(w, notice{Key: a.Do, N: n, Unlogged: lost, Partly: unread > 0})
	http.Redirect(w, r, a.Back, http.StatusSeeOther)
}

func (c *Console) decide(ctx context.Context, a asked) (int, error) {
	switch a.Do {
	case "retry":
		return c.o.Control.Retry(ctx, a.Selection)
	case "skip":
		return c.o.Control.Skip(ctx, a.Selection)
	case "cancel":
		return c.o.Control.Cancel(ctx, a.Selection)
	}
	lift, what := c.o.Control.LiftCooling, a.Token
	if a.Server != "" {
		lift, what = c.o.Control.LiftServer, a.Server
	}
	was, err := lift(ctx, what)
	if was {
		return 1, err
	}
	return 0, err // its calls were let through already
}
