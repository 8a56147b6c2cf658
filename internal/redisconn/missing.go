package redisconn

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// missingRights looks which rights of a role this user lacks. A command that is
// queued in a transaction has its command, keys and channels checked against the
// ACL there and then; DISCARD drops them all, so that nothing is run. This takes no
// right to the ACL commands. opened and closed are what MULTI and DISCARD answered
// when there was nothing to lose: unless both are allowed, nothing is tried.
func missingRights(ctx context.Context, rdb redis.Cmdable, role Role, opened, closed error) ([]Finding, error) {
	var m missing
	if noPermission(opened) || noPermission(closed) {
		m.note(right{name: "multi"}, opened)
		m.note(right{name: "discard", lost: "the rights of this user can't be checked"}, closed)
		return m.findings(userOf(rdb)), nil
	}
	if opened != nil || closed != nil {
		return nil, nil // no transactions here: a proxy, or no Redis
	}
	pipe := rdb.Pipeline()
	asked := map[int]*redis.Cmd{}
	ask := func(these func(name string) bool) {
		for i, r := range rights {
			if r.roles&role != 0 && these(r.name) {
				asked[i] = pipe.Do(ctx, r.probe()...)
			}
		}
	}
	// Valkey refuses WATCH in a transaction before it looks at the ACL. DISCARD ends what it watches.
	ask(func(name string) bool { return name == "watch" })
	begun := pipe.Do(ctx, "multi")
	ask(func(name string) bool { return !slices.Contains([]string{"multi", "discard", "exec", "watch"}, name) })
	pipe.Do(ctx, "discard")
	exec := pipe.Do(ctx, "exec") // "without MULTI"
	_, failed := pipe.Exec(ctx)
	if begun.Val() == nil {
		return nil, failed
	}
	for i, r := range rights {
		if cmd := asked[i]; cmd != nil {
			m.note(r, cmd.Err())
		}
	}
	m.note(right{name: "exec"}, unwrapAbort(exec.Err()))
	return m.findings(userOf(rdb)), nil
}

// missing collects refusals.
type missing struct {
	needed []string // as ACL SETUSER takes them
	wished []string
	lost   []string // what goes without the wished ones
}

func (m *missing) note(r right, err error) {
	if !noPermission(err) {
		return
	}
	list, word := &m.needed, "+"+r.name
	switch {
	case strings.Contains(err.Error(), " to run the "):
	case strings.Contains(err.Error(), "channel"):
		word = r.channels()
	default:
		word = r.keys()
	}
	if r.lost != "" && (word[0] == '+' || word[0] == '&') {
		list = &m.wished
		if !slices.Contains(m.lost, r.lost) {
			m.lost = append(m.lost, r.lost)
		}
	}
	if !slices.Contains(*list, word) {
		*list = append(*list, word)
	}
}

func (m *missing) findings(user string) (found []Finding) {
	if len(m.needed) > 0 {
		found = append(found, Finding{Level: Refuse,
			What: fmt.Sprintf("Redis's ACL does not allow user %s what is needed: %s", user, strings.Join(m.needed, " ")), Remedy: grant(user, m.needed)})
	}
	if len(m.wished) > 0 {
		found = append(found, Finding{Level: Warn,
			What: fmt.Sprintf("Redis's ACL does not allow user %s %s: %s", user, strings.Join(m.wished, " "), strings.Join(m.lost, "; ")), Remedy: grant(user, m.wished)})
	}
	return found
}

func grant(user string, words []string) string {
	return fmt.Sprintf("as Redis's administrator: `ACL SETUSER %s %s`, and the same in its ACL file or redis.conf (docs/operations.md has the least ACL)",
		user, shellWords(words))
}

// shellWords quotes patterns, that a shell would take for its own.
func shellWords(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsAny(w, "~&*|") {
			w = "'" + w + "'"
		}
		out[i] = w
	}
	return strings.Join(out, " ")
}

// userOf is the user that a client logs in as.
func userOf(rdb redis.Cmdable) string {
	if c, ok := rdb.(*redis.Client); ok && c.Options().Username != "" {
		return c.Options().Username
	}
	return "default"
}

// unwrapAbort is the reason for which EXEC itself was refused.
func unwrapAbort(err error) error {
	if err != nil {
		if _, reason, ok := strings.Cut(err.Error(), "EXECABORT Transaction discarded because of: "); ok {
			return refusal(reason)
		}
	}
	return err
}

// refusal is an answer of Redis.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}

func noPermission(err error) bool { return begins(err, "NOPERM") }
