package wolkvoxtest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"habilita/internal/testkit/wolkvoxtest"
)

func TestSuccess(t *testing.T) {
	v := start(t, wolkvoxtest.Options{Tokens: map[string]wolkvoxtest.Token{"t": {Operation: "acme"}}})
	g := v.enable("t", "batch.7.call.3")
	const want = `{"code":202,"error":null,"msg":"The acme module has been successfully enabled"}`
	if g.err != nil || g.status != 202 || string(g.body) != want {
		t.Fatalf("got %d %s %v, want 202 %s", g.status, g.body, g.err, want)
	}
	r := v.Account().Records[0]
	if r.Call != "batch.7.call" || r.Attempt != 3 || r.Server != "0001" || r.Token != "t" || !r.Success || r.Status != 202 || r.Unknown() {
		t.Errorf("record: %+v", r)
	}
}

func TestRefusals(t *testing.T) {
	v := start(t, wolkvoxtest.Options{
		Tokens:    map[string]wolkvoxtest.Token{"bad": {Bad: true}, "also-good": {}},
		TokenInfo: func(token string) (wolkvoxtest.Token, bool) { return wolkvoxtest.Token{}, token == "good" },
	})
	const config, info = "/api/v2/configuration.php", "/api/v2/information.php"
	for _, tc := range []struct {
		name, method, server, path, token, body string
		header                                  [2]string
		status                                  int
		msg, violation                          string
	}{
		{name: "good", token: "good", status: 202, msg: "The op-"},
		{name: "registered wins", token: "also-good", status: 202, msg: "The op-"},
		{name: "wrong method", method: "POST", token: "good", status: 405, msg: "METHOD", violation: "method"},
		{name: "get", method: "GET", token: "good", status: 405, violation: "method"},
		{name: "unknown api", path: config + "?api=nope", token: "good", status: 400, msg: "DOES NOT EXIST", violation: "api"},
		{name: "no api", path: config, token: "good", status: 400, violation: "api"},
		{name: "api of the other file", path: info + "?api=enable_module", token: "good", status: 400, violation: "api"},
		{name: "surplus parameter", path: config + "?api=enable_module&x=1", token: "good", status: 400, violation: "parameters"},
		{name: "api twice", path: config + "?api=enable_module&api=enable_module", token: "good", status: 400, violation: "parameters"},
		{name: "body", body: "{}", token: "good", status: 400, violation: "body"},
		{name: "no token", status: 401, msg: "PLEASE ENTER THE WOLKVOX-TOKEN", violation: "token"},
		{name: "two tokens", token: "good", header: [2]string{"wolkvox-token", "other"}, status: 401, violation: "token"},
		{name: "unknown token", token: "nobody", status: 403, msg: "PLEASE VALIDATE TOKEN"},
		{name: "bad token", token: "bad", status: 403, msg: "PLEASE VALIDATE TOKEN"},
		{name: "unknown path", path: "/api/v1/configuration.php?api=enable_module", token: "good", status: 404, violation: "path"},
		{name: "server of two digits", server: "42", token: "good", status: 404, violation: "path"},
		{name: "server of letters", server: "000x", token: "good", status: 404, violation: "path"},
		{name: "idempotency key", token: "good", header: [2]string{"Idempotency-Key", "k"}, status: 202, violation: "idempotency-key"},
		{name: "token_info by PUT", path: info + "?api=token_info", token: "good", status: 405, violation: "method"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			method, server, path := tc.method, tc.server, tc.path
			if method == "" {
				method = http.MethodPut
			}
			if server == "" {
				server = "0001"
			}
			if path == "" {
				path = enablePath
			}
			req, err := http.NewRequestWithContext(t.Context(), method, v.url(server, path), strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.token != "" {
				req.Header.Set("wolkvox-token", tc.token)
			}
			if tc.header[0] != "" {
				req.Header.Add(tc.header[0], tc.header[1])
			}
			g := v.do(req)
			if g.err != nil || g.status != tc.status {
				t.Fatalf("got %d %s %v, want %d", g.status, g.body, g.err, tc.status)
			}
			if tc.msg != "" && !strings.Contains(g.msg(t), tc.msg) {
				t.Errorf("msg %q, want %q", g.msg(t), tc.msg)
			}
			records := v.Account().Records
			r := records[len(records)-1]
			if r.Status != tc.status || r.Success != (tc.status == 202) || r.EndSeq == 0 {
				t.Errorf("record: %+v", r)
			}
			if tc.violation == "" && len(r.Violations) > 0 || tc.violation != "" && !slices.Contains(r.Violations, tc.violation) {
				t.Errorf("violations %v, want %q", r.Violations, tc.violation)
			}
			if tc.violation != "" && len(v.Account().Accused(tc.violation)) == 0 {
				t.Errorf("nobody accused of %q", tc.violation)
			}
		})
	}
}

func TestServerInTheHost(t *testing.T) {
	v := start(t, wolkvoxtest.Options{})
	base := strings.TrimSuffix(v.URL, "/wv{server}")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, base+enablePath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "wv0100.wolkvox.com"
	req.Header.Set("wolkvox-token", "t")
	if g := v.do(req); g.status != 202 {
		t.Fatalf("got %d %s %v", g.status, g.body, g.err)
	}
	if r := v.Account().Records[0]; r.Server != "0100" {
		t.Errorf("server %q, want 0100", r.Server)
	}
}

func TestCodeStyles(t *testing.T) {
	styles := func(style wolkvoxtest.CodeStyle, seed uint64) string {
		v := start(t, wolkvoxtest.Options{Code: style, Seed: seed})
		var seen strings.Builder
		for range 32 {
			g := v.enable("t", "")
			if g.status != 202 {
				t.Fatalf("status %d", g.status)
			}
			var env struct{ Code any }
			if err := json.Unmarshal(g.body, &env); err != nil {
				t.Fatal(err)
			}
			switch env.Code {
			case "202":
				seen.WriteByte('s')
			case 202.0:
				seen.WriteByte('n')
			default:
				t.Fatalf("code %v", env.Code)
			}
		}
		return seen.String()
	}
	if got := styles(wolkvoxtest.CodeString, 0); strings.Contains(got, "n") {
		t.Errorf("string: %s", got)
	}
	if got := styles("", 0); strings.Contains(got, "s") {
		t.Errorf("default: %s", got)
	}
	mixed := styles(wolkvoxtest.CodeMixed, 7)
	if !strings.Contains(mixed, "n") || !strings.Contains(mixed, "s") {
		t.Errorf("mixed: %s", mixed)
	}
	if again := styles(wolkvoxtest.CodeMixed, 7); again != mixed {
		t.Errorf("the same seed gave %s and %s", mixed, again)
	}
}

func TestTokenInfo(t *testing.T) {
	v := start(t, wolkvoxtest.Options{Tokens: map[string]wolkvoxtest.Token{"a": {Licenses: 2, Used: 10}}})
	v.enable("a", "")
	g := v.send(context.Background(), http.MethodGet, v.url("0001", "/api/v2/information.php?api=token_info"), "a", "")
	var env struct{ Data []map[string]string }
	if err := json.Unmarshal(g.body, &env); err != nil || len(env.Data) != 1 {
		t.Fatalf("%s: %v", g.body, err)
	}
	for field, want := range map[string]string{
		"token_limit": "2000", "token_use_today": "12", "all_token_today": "12", "available_consumption_options": "1988",
	} {
		if got := env.Data[0][field]; got != want {
			t.Errorf("%s = %q, want %q", field, got, want)
		}
	}
	if a := v.Account(); a.Totals.Successes != 1 || a.Of("a").Requests != 2 {
		t.Errorf("totals: %+v", a.Totals)
	}
}
