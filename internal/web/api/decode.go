package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/web/guard"
)

// callBody is the body of a call.
type callBody struct {
	Server   string    `json:"server"`
	Token    string    `json:"token"`
	Licenses float64   `json:"licenses"` // 5.0 is 5
	Chain    string    `json:"chain"`
	Ref      string    `json:"ref"`
	ID       string    `json:"id"`
	Batch    string    `json:"batch"`
	At       time.Time `json:"at"`
	Notify   bool      `json:"notify"`
}

// wanted has the fields of a call, and what each must be.
var wanted = map[string]string{
	"server": wantText, "token": wantText, "licenses": "want a whole number from 1", "chain": wantText, "ref": wantText, "id": wantText,
	"batch": wantText, "at": engine.WantTime, "notify": "want true or false",
}

const wantText = "want a string"

// plainName is a field's name that may be shown, since it is not a secret in the wrong place.
var plainName = regexp.MustCompile(`^[a-z_]{1,20}$`)

// mediaTypes checks the body's type and returns it, with how its text is encoded.
func mediaTypes(r *http.Request, want ...string) (string, rows.Encoding, error) {
	if e := contentEncoding(r); e != "" && e != "gzip" {
		return "", "", refuse(wrongMedia, "the only Content-Encoding that is taken is gzip")
	}
	have, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(want, have) {
		return "", "", refuse(wrongMedia, "want Content-Type: %s", strings.Join(want, " or "))
	}
	enc, err := rows.ParseEncoding(params["charset"])
	if err != nil {
		return "", "", refuse(wrongMedia, "the charset %v", err)
	}
	return have, enc, nil
}

// contentEncoding returns the body's encoding in lower case; "" if it has none.
func contentEncoding(r *http.Request) string {
	switch e := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); e {
	case "identity":
		return ""
	case "x-gzip":
		return "gzip"
	default:
		return e
	}
}

// opened limits a body, and unpacks its gzip. The limit counts unpacked bytes.
func opened(w http.ResponseWriter, r *http.Request, body io.Reader, limit int64) io.ReadCloser {
	if contentEncoding(r) == "gzip" {
		// What goes in is limited too: a gzip of nothing can be of any length.
		body = guard.Gunzip(io.LimitReader(body, 2*limit))
	}
	return http.MaxBytesReader(w, io.NopCloser(body), limit)
}

// decodeCall reads a call from a JSON object. The object must be flat, with known names
// only, and each at most once.
func decodeCall(r *http.Request) (engine.Call, error) {
	media, enc, err := mediaTypes(r, "application/json")
	if err == nil && enc != rows.UTF8 {
		err = refuse(wrongMedia, "want Content-Type: %s, in UTF-8", media)
	}
	if err != nil {
		return engine.Call{}, err
	}
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return engine.Call{}, fmt.Errorf("%w: %w", errBody, err)
	case !utf8.Valid(body):
		return engine.Call{}, refuse(badRequest, "the body is not valid UTF-8")
	case jsontext.Value(body).Kind() != jsontext.KindBeginObject:
		return engine.Call{}, refuse(badRequest, "the body is not a JSON object")
	}
	var given map[string]jsontext.Value
	var b callBody
	if err = json.Unmarshal(body, &given); err == nil {
		err = json.Unmarshal(body, &b, json.RejectUnknownMembers(true))
	}
	if err != nil {
		return engine.Call{}, malformed(string(body), err)
	}
	for name, v := range given {
		switch {
		case v.Kind() == jsontext.KindNull:
			return engine.Call{}, refuseField(invalid, name, "%s", wanted[name])
		case string(v) == `""` && slices.Contains([]string{"id", "chain"}, name):
			return engine.Call{}, refuseField(invalid, name, "is empty: leave it out")
		}
	}
	c := engine.Call{Server: b.Server, Token: engine.Token(b.Token), Licenses: int(b.Licenses), Chain: b.Chain, Ref: b.Ref, ID: b.ID,
		Batch: b.Batch, At: b.At, Notify: b.Notify}
	switch p := ledger.BatchNameProblem(c.Batch); {
	case given["licenses"] != nil && (c.Licenses < 1 || float64(c.Licenses) != b.Licenses):
		return c, refuseField(invalid, "licenses", "%s", wanted["licenses"])
	case engine.TooFar(c.At):
		return c, refuseField(invalid, "at", engine.WantTime)
	case given["batch"] != nil && p != "":
		return c, refuseField(invalid, "batch", "%s", p)
	}
	return c, nil
}

// malformed says what is wrong with a body, without quoting it.
func malformed(body string, err error) error {
	if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		switch name := shown(bad.JSONPointer); {
		case errors.Is(err, jsontext.ErrDuplicateName):
			return refuseField(invalid, name, "is given twice")
		case jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)):
			return refuseField(invalid, name, rows.HalfSurrogateProblem)
		}
		return refuse(badRequest, "the body is not JSON: it goes wrong at byte %d", bad.ByteOffset)
	}
	bad, _ := errors.AsType[*json.SemanticError](err)
	name := shown(bad.JSONPointer)
	if errors.Is(err, json.ErrUnknownName) {
		return refuseField(invalid, name, "is not a field of a call; those are %s", strings.Join(slices.Sorted(maps.Keys(wanted)), ", "))
	}
	return refuseField(invalid, name, "%s", wanted[name])
}

// shown is the name of a field, if it may be shown.
func shown(at jsontext.Pointer) string {
	if name := at.LastToken(); plainName.MatchString(name) {
		return name
	}
	return "(a field)"
}

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
