package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCallCheck(t *testing.T) {
	const secret = "s3cr3t-t0ken"
	fine := Call{Server: "42", Token: secret}
	with := func(change func(*Call)) Call {
		c := fine
		change(&c)
		return c
	}
	long := strings.Repeat("x", 300)
	for _, tc := range []struct {
		name, field string // field "": it can be one
		call        Call
	}{
		{"plain", "", fine},
		{"all fields", "", Call{Server: "wv0042", Token: secret, Licenses: 1_000_000, Chain: "night", Ref: "señal ✓", ID: "order-1/a:b#c", Batch: "any batch name"}},
		{"longest names", "", with(func(c *Call) { c.Chain, c.ID, c.Ref = long[:128], long[:128], long[:256] })},
		{"no server", "server", with(func(c *Call) { c.Server = "" })},
		{"another's host", "server", with(func(c *Call) { c.Server = "https://example.com" })},
		{"too many digits", "server", with(func(c *Call) { c.Server = "1234567890" })},
		{"no token", "token", with(func(c *Call) { c.Token = "" })},
		{"white space", "token", with(func(c *Call) { c.Token = secret + " x" })},
		{"line feed", "token", with(func(c *Call) { c.Token = secret + "\n" })},
		{"not ASCII", "token", with(func(c *Call) { c.Token = secret + "ñ" })},
		{"long token", "token", with(func(c *Call) { c.Token = Token(strings.Repeat(secret, 100)) })},
		{"negative licences", "licenses", with(func(c *Call) { c.Licenses = -1 })},
		{"too many licences", "licenses", with(func(c *Call) { c.Licenses = 1_000_001 })},
		{"space in the chain", "chain", with(func(c *Call) { c.Chain = "a b" })},
		{"long chain", "chain", with(func(c *Call) { c.Chain = long[:129] })},
		{"chain not ASCII", "chain", with(func(c *Call) { c.Chain = "ñ" })},
		{"tab in the id", "id", with(func(c *Call) { c.ID = "a\tb" })},
		{"long id", "id", with(func(c *Call) { c.ID = long[:129] })},
		{"long ref", "ref", with(func(c *Call) { c.Ref = long[:257] })},
		{"ref no UTF-8", "ref", with(func(c *Call) { c.Ref = "\xff" })},
		{"control character in the ref", "ref", with(func(c *Call) { c.Ref = "a\x1bb" })},
		{"DEL in the ref", "ref", with(func(c *Call) { c.Ref = "a\x7f" })},
	} {
		c := tc.call
		err := c.check(4)
		var bad *CallError
		switch {
		case tc.field == "" && (err != nil || c.Server != "0042"):
			t.Errorf("%s: %v, server %q", tc.name, err, c.Server)
		case tc.field != "" && (!errors.As(err, &bad) || bad.Field != tc.field || bad.Index != 4 || bad.Problem == ""):
			t.Errorf("%s: %v, want a fault of %s", tc.name, err, tc.field)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "call 4: "+tc.field)) {
			t.Errorf("%s: %q", tc.name, err)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, v := range []any{fine, &fine, []Call{fine}} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s shows the token: %s", verb, s)
			}
		}
	}
	if err := (&CallError{Index: -1, Field: "token", Problem: "p"}).Error(); err != "token: p" {
		t.Error(err)
	}
}
