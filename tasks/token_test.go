package tasks

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/rs/zerolog"
)

// Whatever a program does with a call, its token does not show.
func TestTokenPrintsNothing(t *testing.T) {
	const secret = "s3cr3t-t0ken"
	type embedsToken struct {
		Token
		Name string
	}
	type embedsCall struct {
		Call
		Order int
	}
	var token Token = secret
	call := Call{Server: "0042", Token: secret, ID: "order-7"}
	values := map[string]any{
		"token": token, "pointer": &token, "list": []Token{token}, "value of a map": map[string]Token{"t": token},
		"call": call, "call's pointer": &call, "calls": []Call{call}, "embeds a token": embedsToken{secret, "n"},
		"embeds a call": embedsCall{call, 7}, "anonymous": struct{ T Token }{token}, "error": fmt.Errorf("no: %v, %w", token, errors.New("x")),
	}
	print := map[string]func(v any) (string, error){
		"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"xml":  func(v any) (string, error) { b, _ := xml.Marshal(v); return string(b), nil }, // not of a map
		"slog text": func(v any) (string, error) {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v, slog.Any("w", v))
			return b.String(), nil
		},
		"slog json": func(v any) (string, error) {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v, slog.Group("g", "w", v))
			return b.String(), nil
		},
		"zerolog": func(v any) (string, error) {
			var b bytes.Buffer
			log := zerolog.New(&b)
			e := log.Info().Interface("i", v).Any("a", v).Fields(map[string]any{"f": v})
			if s, ok := v.(fmt.Stringer); ok {
				e = e.Stringer("s", s)
			}
			e.Send()
			return b.String(), nil
		},
		"zerolog console": func(v any) (string, error) {
			var b bytes.Buffer
			log := zerolog.New(zerolog.ConsoleWriter{Out: &b})
			log.Info().Any("v", v).Msgf("%v", v)
			return b.String(), nil
		},
		"template": func(v any) (string, error) {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse("{{.}} {{printf \"%s\" .}}")).Execute(&b, v)
			return b.String(), err
		},
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "% x", "%40s", "%T %[1]v"} {
		print[verb] = func(v any) (string, error) { return fmt.Sprintf(verb, v), nil }
	}
	for how, f := range print {
		for what, v := range values {
			s, err := f(v)
			if err != nil {
				t.Errorf("%s, %s: %v", how, what, err)
			}
			if low := strings.ToLower(s); strings.Contains(low, secret) || strings.Contains(strings.ReplaceAll(low, " ", ""), fmt.Sprintf("%x", secret)) {
				t.Errorf("%s, %s: %s", how, what, s)
			}
		}
	}
	// A struct that embeds a call keeps its own fields, and the call's others.
	b, _ := json.Marshal(embedsCall{call, 7})
	for _, want := range []string{`"Order":7`, `"Token":"[redacted]"`, `"ID":"order-7"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("a struct that embeds a call lacks %s: %s", want, b)
		}
	}
	// A call that was written can be read again, but Check refuses it.
	var again Call
	var bad *CallError
	if err := json.Unmarshal(b, &again); err != nil || again.Server != "0042" {
		t.Fatal(again, err)
	}
	if err := again.Check(); !errors.As(err, &bad) || bad.Field != "token" {
		t.Errorf("a call that was written and read again: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"Server":"0042","Token":"`+secret+`"}`), &again); err != nil || string(again.Token) != secret {
		t.Errorf("a call read from JSON: %v", err)
	}
}
