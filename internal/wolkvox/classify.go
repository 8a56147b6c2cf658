package wolkvox

import "net/http"

// classify turns a complete answer into success, a *RefusedError or an *UnreadableError.
// An HTTP status that is no success is a refusal even without an envelope, and so
// is a failing code, or a phrase of the vendor's where there is no code. A success
// needs the status, the code, an error or a msg to be there, and no error.
func classify(status int, p payload, token string) (Answer, error) {
	env := p.env
	refused := func() error {
		r := &RefusedError{
			Kind:   kindOf(status, env.code, env.msg, env.err),
			Status: status,
			Code:   env.code,
			Msg:    safeText(env.msg, token),
			Detail: safeText(env.err, token),
		}
		if p.fault != "" {
			r.Msg = safeText(string(p.data), token)
		}
		return r
	}
	unreadable := func(why string) error {
		return &UnreadableError{Status: status, Reason: why, Excerpt: safeText(string(p.data), token)}
	}
	switch {
	case status < http.StatusOK || status >= http.StatusMultipleChoices:
		return Answer{}, refused()
	case p.fault != "":
		return Answer{}, unreadable(p.fault)
	case env.code != 0 && !succeeded(env.code), env.code == 0 && phraseIn(env.msg, env.err) != "":
		return Answer{}, refused()
	case !env.parts:
		return Answer{}, unreadable("the JSON is not the vendor's envelope: a code, and an error or a msg, are missing")
	case !succeeded(status) || env.fail:
		return Answer{}, refused()
	}
	return Answer{Status: status, Code: env.code, Msg: safeText(env.msg, token), data: env.data}, nil
}
