package wolkvox

import "testing"

func TestTokenUse(t *testing.T) {
	for data, want := range map[string]TokenUse{
		`[{"token_limit":"1000","token_use_today":"301"}]`: {1000, 301},
		`{"token_limit":1000,"token_use_today":0}`:         {1000, 0},
	} {
		if got, ok := tokenUse([]byte(data)); !ok || got != want {
			t.Errorf("%s: %+v %v", data, got, ok)
		}
	}
	for _, data := range []string{"", "null", "[]", "{}", `[{},{}]`, `{"token_limit":"x","token_use_today":"1"}`, `{"token_limit":"5","token_use_today":"-1"}`, `{"token_limit":"5"}`} {
		if got, ok := tokenUse([]byte(data)); ok {
			t.Errorf("%q is read as %+v", data, got)
		}
	}
}
