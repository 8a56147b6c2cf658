package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"habilita/internal/control"
	"habilita/internal/engine"
)

// query reads the query, in which each name may be given once. It refuses unknown names: a
// mistyped filter must not answer with everything.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(badParameter, "the query can't be read: it is to be name=value&name=value, percent-encoded")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return nil, refuse(badParameter, "this takes no parameters")
			}
			if plainName.MatchString(name) { // all else may be a token
				return nil, refuseField(badParameter, name, "is not known here; those that are: %s", strings.Join(known, ", "))
			}
			return nil, refuse(badParameter, "a parameter is not known here; those that are: %s", strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, refuseField(badParameter, name, "is given twice")
		}
		if !utf8.ValidString(values[0]) {
			return nil, refuseField(badParameter, name, "is not valid UTF-8")
		}
	}
	return q, nil
}

// pageOf reads limit and cursor.
func pageOf(q url.Values) (cursor string, limit int, err error) {
	limit = 100
	if text := q.Get("limit"); q.Has("limit") {
		limit, err = strconv.Atoi(text)
		if err != nil || limit < 1 || limit > control.MaxPage {
			return "", 0, refuseField(badParameter, "limit", "want a whole number from 1 to %d", control.MaxPage)
		}
	}
	if q.Has("cursor") && q.Get("cursor") == "" {
		return "", 0, refuseField(badParameter, "cursor", "is empty: leave it out for the first page")
	}
	return q.Get("cursor"), limit, nil
}

// oneOf reads a parameter that has a few values; "" if it is not given.
func oneOf(q url.Values, name string, values ...string) (string, error) {
	v := q.Get(name)
	if q.Has(name) && !slices.Contains(values, v) {
		return "", refuseField(badParameter, name, "want one of %s", strings.Join(values, ", "))
	}
	return v, nil
}

// isSet reports whether a switch is on: as with a flag of the commands, its bare name is true.
func isSet(q url.Values, name string) (bool, error) {
	switch v := q.Get(name); {
	case !q.Has(name), v == "false":
		return false, nil
	case v == "", v == "true":
		return true, nil
	}
	return false, refuseField(badParameter, name, "want nothing, true or false")
}

// notBefore reads at and in; zero: neither was given.
func (a *API) notBefore(ctx context.Context, q url.Values) (time.Time, error) {
	s, err := engine.ParseStart(func(name string) (string, bool) { return q.Get(name), q.Has(name) })
	if e, ok := errors.AsType[*engine.StartError](err); ok {
		return time.Time{}, refuseField(badParameter, e.Field, "%s", e.Problem)
	}
	now, err := a.Redis.Time(ctx).Result()
	return s.Time(now), err
}
