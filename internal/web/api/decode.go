package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/web/guard"
)

// callFields are those of a call's body.
const callFields = "server, token, licenses, chain, ref, id, batch, at, notify"

// plainName is a field's name that may be told again: it is no secret in the wrong place.
var plainName = regexp.MustCompile(`^[a-z_]{1,20}$`)

// mediaType checks the body's type.
func mediaType(r *http.Request, want string) error {
	_, enc, err := mediaTypes(r, want)
	if err == nil && enc != rows.UTF8 {
		return refuse(wrongMedia, "want Content-Type: %s, in UTF-8", want)
	}
	return err
}

// mediaTypes checks the body's type and returns it, with how its text is encoded.
func mediaTypes(r *http.Request, want ...string) (string, rows.Encoding, error) {
	if e := contentEncoding(r); e != "" && e != "gzip" {
		return "", "", refuse(wrongMedia, "of Content-Encodings only gzip is taken")
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

// contentEncoding is the body's in lower case; "" if it has none.
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

// opened bounds a body, and reads its gzip. The limit counts what comes out of that.
func opened(w http.ResponseWriter, r *http.Request, body io.Reader, limit int64) io.ReadCloser {
	if contentEncoding(r) == "gzip" {
		// What goes in is bounded too: a gzip of nothing may be as long as it likes.
		body = guard.Gunzip(io.LimitReader(body, 2*limit))
	}
	return http.MaxBytesReader(w, io.NopCloser(body), limit)
}

// decodeCall reads a call from a JSON object: flat, each name at most once, none that is
// not known.
func decodeCall(r *http.Request) (engine.Call, error) {
	var c engine.Call
	if err := mediaType(r, "application/json"); err != nil {
		return c, err
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return c, fmt.Errorf("%w: %w", errBody, err)
	}
	if !utf8.Valid(text) {
		return c, refuse(badRequest, "the body is no valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return c, refuse(badRequest, "the body is no JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return c, malformed(err)
		}
		if seen[name] {
			return c, refuseField(invalid, shown(name), "is given twice")
		}
		seen[name] = true
		from := d.InputOffset()
		v, err := d.Token()
		if err != nil {
			return c, malformed(err)
		}
		if rows.HalfSurrogate(string(text[from:d.InputOffset()])) {
			return c, refuseField(invalid, shown(name), "%s", rows.HalfSurrogateProblem)
		}
		if err := set(&c, name, v); err != nil {
			return c, err
		}
	}
	if _, err := d.Token(); err != nil {
		return c, malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, refuse(badRequest, "there is something behind the JSON object")
	}
	for _, name := range []string{"server", "token"} {
		if !seen[name] {
			return c, refuseField(invalid, name, "is missing")
		}
	}
	return c, nil
}

// malformed says where JSON ends to be JSON, without a word of it.
func malformed(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return refuse(badRequest, "the body is no JSON: it goes wrong at byte %d", syntax.Offset)
	}
	return refuse(badRequest, "the body is no JSON: it ends too early")
}

func shown(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return "(a field)"
}

// set sets a field of the call.
func set(c *engine.Call, name string, v json.Token) error {
	texts := map[string]*string{"server": &c.Server, "token": (*string)(&c.Token), "chain": &c.Chain, "ref": &c.Ref, "id": &c.ID, "batch": &c.Batch}
	if to := texts[name]; to != nil {
		s, ok := v.(string)
		if !ok {
			return refuseField(invalid, name, "want a string")
		}
		*to = s
		return checkText(name, s)
	}
	switch name {
	case "licenses":
		n, ok := v.(json.Number)
		i, whole := rows.Integer(string(n))
		if !ok || !whole || i < 1 {
			return refuseField(invalid, name, "want a whole number from 1")
		}
		c.Licenses = i
		return nil
	case "notify":
		b, ok := v.(bool)
		if !ok {
			return refuseField(invalid, name, "want true or false")
		}
		c.Notify = b
		return nil
	case "at":
		s, _ := v.(string)
		at, err := time.Parse(time.RFC3339, s)
		if err != nil || engine.TooFar(at) {
			return refuseField(invalid, name, wantTime)
		}
		c.At = at
		return nil
	}
	return refuseField(invalid, shown(name), "is not a field of a call; those are %s", callFields)
}

// checkText checks what tasks would refuse with more words, or not at all.
func checkText(name, s string) error {
	switch name {
	case "batch":
		if p := ledger.BatchNameProblem(s); p != "" {
			return refuseField(invalid, name, "%s", p)
		}
	case "id", "chain":
		if s == "" {
			return refuseField(invalid, name, "is empty: leave it out")
		}
	}
	return nil
}
