package wolkvox

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func payloadOf(body string) payload {
	p := payload{data: []byte(body)}
	p.env, p.fault = decodeEnvelope(p.data)
	return p
}

func TestJudgeSuccess(t *testing.T) {
	for _, body := range []string{
		success,
		"\xef\xbb\xbf" + success + "\r\n",
		`{"code": "202", "error": null, "msg": "ok"}`,
		`{"code": " 202 ", "error": null, "msg": "ok"}`,
		`{"code": 202.0, "error": null, "msg": "ok"}`,
		`{"code": 2.02e2, "error": null, "msg": "ok"}`,
		`{"code": 202, "error": "", "msg": "ok"}`,
		`{"code": 202, "error": " ", "msg": "ok"}`,
		`{"code": 202, "error": [], "msg": "ok"}`,
		`{"code": 202, "error": {}, "msg": "ok"}`,
		`{"code": 202, "error": false, "msg": "ok"}`,
		`{"code": 202, "error": null}`,
		`{"code": 202, "msg": {"text": "ok"}, "data": [1]}`,
	} {
		for _, status := range []int{200, 201, 202} {
			ans, err := classify(status, payloadOf(body), testToken)
			if err != nil || ans.Status != status || ans.Code != 202 {
				t.Errorf("%d %s: %+v, %v", status, body, ans, err)
			}
		}
	}
}

func TestJudgeRefused(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		kind   Kind
		code   int
	}{
		{200, `{"code": "403", "error": "FORBIDDEN", "msg": "TOKEN LIMIT EXCEEDED"}`, TokenLimit, 403},
		{200, `{"code": 403}`, UnknownForbidden, 403},
		{200, `{"error": "PLEASE VALIDATE TOKEN"}`, BadToken, 0},
		{200, `{"code": null, "error": {"why": "token limit  exceeded"}}`, TokenLimit, 0},
		{202, `{"code": 202, "error": "no", "msg": ""}`, Other, 202},
		{202, `{"code": 202, "error": true, "msg": ""}`, Other, 202},
		{202, `{"code": 202, "error": 0, "msg": ""}`, Other, 202},
		{202, `{"code": 202, "error": {"a": 1}, "msg": ""}`, Other, 202},
		{203, success, Other, 202},
		{302, success, Other, 202},
		{403, success, UnknownForbidden, 202},
		{500, success, ServerFailure, 202},
		{403, "<html>maintenance</html>", UnknownForbidden, 0},
		{403, "", UnknownForbidden, 0},
		{403, "<html>PLEASE VALIDATE TOKEN</html>", UnknownForbidden, 0},
		{400, "x", BadRequest, 0},
		{401, "x", MissingToken, 0},
		{404, "x", NotFound, 0},
		{405, "x", MethodNotAllowed, 0},
		{429, "x", TooMany, 0},
		{502, "<html>", ServerFailure, 0},
		{301, "", Other, 0},
		{403, `[1]`, UnknownForbidden, 0},
	} {
		_, err := classify(c.status, payloadOf(c.body), testToken)
		var r *RefusedError
		if !errors.As(err, &r) || r.Kind != c.kind || r.Code != c.code || r.Status != c.status {
			t.Errorf("%d %s: %#v", c.status, c.body, err)
		}
	}
}

func TestJudgeUnreadable(t *testing.T) {
	for _, body := range []string{
		"", " \n", "\xef\xbb\xbf", "<html></html>", "null", "[]", `"ok"`, "202", "{", success + "}", success + success, success + "<!-- -->",
		`{}`, `{"code": 202}`, `{"msg": "enabled"}`, `{"code": null, "error": null, "msg": ""}`, `{"code": true, "error": null}`,
		`{"code": "OK", "error": null}`, `{"code": 0, "error": null}`, `{"code": 202.5, "error": null}`, `{"code": -202, "error": null}`,
		`{"code": "2e2", "error": null}`, `{"code": "0xCA", "error": null}`, `{"code": 1e400, "error": null}`, `{"code": [202], "error": null}`,
		`{"Code": 202, "Error": null}`, "\xff\xfe{\x00}\x00", strings.Repeat("[", 20000),
	} {
		_, err := classify(200, payloadOf(body), testToken)
		var u *UnreadableError
		if !errors.As(err, &u) || u.Status != 200 || u.Reason == "" {
			t.Errorf("%.60q: %#v", body, err)
		}
	}
}

func TestTextsAreSafe(t *testing.T) {
	escaped := strings.NewReplacer("/", `\/`, `"`, `\"`, `\`, `\\`).Replace(testToken)
	for _, body := range []string{
		fmt.Sprintf(`{"code": 403, "error": null, "msg": "bad token: %s"}`, escaped),
		fmt.Sprintf(`{"code": 403, "error": "%s", "msg": ""}`, strings.ToUpper(escaped)),
		fmt.Sprintf(`{"code": 403, "error": {"token": "%s", "n": 1}, "msg": ["%s"]}`, escaped, escaped),
		fmt.Sprintf(`{"code": 403, "error": {"%s": 1}}`, escaped),
		`<html>` + strings.Repeat("x", 270) + testToken,
		strings.ReplaceAll(testToken, "-", "\x00-\u200b\xff"),
	} {
		_, err := classify(403, payloadOf(body), testToken)
		var r *RefusedError
		if !errors.As(err, &r) {
			t.Fatal(err)
		}
		for _, s := range []string{r.Msg, r.Detail, r.Error()} {
			noToken(t, strings.ToLower(s))
		}
		if !strings.Contains(r.Error(), "[token]") && !strings.Contains(body, "<html>") {
			t.Errorf("%q", r)
		}
	}
	for in, want := range map[string]string{
		"a\r\nb\x00c\x1b[31m\u202ed\xffe ": "a  bc[31mde",
		"Módulo habilitado":                "Módulo habilitado",
		strings.Repeat("é", 200):           strings.Repeat("é", 148) + "...",
		strings.Repeat("x", 300):           strings.Repeat("x", 300),
	} {
		if got := safeText(in, testToken); got != want {
			t.Errorf("safeText(%q) = %q, want %q", in, got, want)
		}
	}
	if got := safeText("a token here", "token"); got != "a [token] here" {
		t.Error(got)
	}
}

// A vendor may repeat the token as JSON, a URL or HTML escapes it. Nobody may read it there.
func TestEscapedTokensAreHidden(t *testing.T) {
	for token, echoes := range map[string][]string{
		"a/b+c==": {
			`a/b+c==`, `A/B+C==`, `a\/b+c==`, `a\\\/b+c==`, `a\u002fb\u002Bc\u003d=`, `a\\u002Fb+c==`, `a%2Fb%2bc%3D%3d`, `a%252Fb%252Bc==`,
			`a&#47;b&#x2B;c&#061;&#X3d;`, `\u0061/%62+&#99;==`,
		},
		`T<&"x`:  {`T<&"x`, `T<&\"x`, `T\u003c\u0026\u0022x`, `T\u003C&\\\"x`, `T&lt;&amp;&quot;x`, `t&LT;&AMP;&#34;X`, `T%3C%26%22x`, `T&#60;&#x26;&#x22;x`},
		`it's\a`: {`it's\a`, `it's\\a`, `it&#39;s\a`, `it&#039;s\\a`, `it&apos;s\u005ca`, `it%27s%5Ca`},
		"plain9": {`plain9`, `PLAIN9`, `pl%61in9`, `\u0070lain9`},
		"a%2Fb":  {`a%2Fb`, `a%252Fb`},
	} {
		for _, echo := range echoes {
			_, err := classify(403, payloadOf("unknown token <"+echo+">"), token)
			refused := want[*RefusedError](t, err)
			_, err = classify(200, payloadOf(`{"message": "unknown token <`+echo+`>"}`), token)
			unreadable := want[*UnreadableError](t, err)
			for _, text := range []string{refused.Msg, unreadable.Excerpt} {
				if !strings.Contains(text, "<[token]>") {
					t.Errorf("%q as %q: %s", token, echo, text)
				}
			}
		}
	}
	for _, text := range []string{
		`C:\dir, 100% of R&D &amp; a\/b+c`, `a&sol;b+c==`, `a&#8203;/b+c==`, `%0A \u000a &#10; &#127; %7F &lt &Lt;`, `a%b+c==`, `\\`,
	} {
		if got := hideToken(text, "a/b+c=="); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := hideToken(`a \ b`, `\\`); got != `a \ b` {
		t.Error(got)
	}
	const usual = "Module enabled: 5 licences"
	plain := testing.AllocsPerRun(100, func() { replaceFold(usual, testToken, "") })
	if n := testing.AllocsPerRun(100, func() { hideToken(usual, testToken) }); n > plain {
		t.Errorf("a text without escapes costs %v allocations, not %v", n, plain)
	}
}

func TestRequestPrintsWithoutToken(t *testing.T) {
	r := testRequest()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		noToken(t, fmt.Sprintf(verb, r))
		noToken(t, fmt.Sprintf(verb, &r))
		noToken(t, fmt.Sprintf(verb, []Request{*r}))
		noToken(t, fmt.Sprintf(verb, struct{ R Request }{*r}))
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	for _, s := range []string{
		success, `{"code":"403","error":{"a":[1,"x"]},"msg":["y"]}`, "\xef\xbb\xbf{}", `{"code":1e3}`, "<html>", `{"msg":"\ud800"}`,
		`{"code":202,"error":null,"msg":"s3cr3t"}`,
	} {
		f.Add([]byte(s), 200)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		const secret = "s3cr3t"
		p := payload{data: body}
		p.env, p.fault = decodeEnvelope(body)
		if p.fault != "" && p.env != (envelope{}) {
			t.Fatalf("%+v beside %q", p.env, p.fault)
		}
		if p.env.code != 0 && (p.env.code < 100 || p.env.code > 999) {
			t.Fatalf("code %d", p.env.code)
		}
		ans, err := classify(status, p, secret)
		texts := []string{ans.Msg}
		switch e := err.(type) {
		case nil:
			if !succeeded(status) || !succeeded(ans.Code) || p.env.fail {
				t.Fatalf("success of %d %q", status, body)
			}
		case *RefusedError:
			texts = append(texts, e.Msg, e.Detail)
			if e.Kind == "" {
				t.Fatal("no kind")
			}
		case *UnreadableError:
			texts = append(texts, e.Excerpt)
		default:
			t.Fatalf("%T", err)
		}
		for _, s := range texts {
			if len(s) > maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.Contains(strings.ToLower(s), secret) {
				t.Fatalf("unsafe text %q", s)
			}
		}
	})
}
