package wolkvox

import (
	"errors"
	"strings"
	"testing"
)

func TestParseServer(t *testing.T) {
	for in, want := range map[string]Server{
		"0042": "0042", "42": "0042", "042": "0042", "1": "0001", "0100": "0100",
		"wv0042": "0042", "WV42": "0042", "Wv7": "0007",
		"10042": "10042", "123456": "123456", "wv10042": "10042",
		"https://wv0042.wolkvox.com":                     "0042",
		"wv0042.wolkvox.com":                             "0042",
		"WV0042.Wolkvox.com/api/v2/":                     "0042",
		"https://wv0042.wolkvox.com/":                    "0042",
		"HTTPS://WV0042.Wolkvox.COM/api/v2/x.php?api=y":  "0042",
		"https://wv0042.wolkvox.com?x":                   "0042",
		"https://wv10042.wolkvox.com":                    "10042",
		"https://wv0042.wolkvox.com/@evil.example/0043/": "0042",
	} {
		got, err := ParseServer(in)
		if err != nil || got != want {
			t.Errorf("ParseServer(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestParseServerRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "0", "0000", "00042", "000000", "1234567", "-1", "+1", "4 2", " 0042", "0042 ", "0042\n",
		"wv", "wvwv42", "w42", "0x42", "4.2", "٤٢", "4²", "server",
		"http://wv0042.wolkvox.com", "https://", "https://wv42.wolkvox.com", "https://wv00042.wolkvox.com",
		"https://wv0000.wolkvox.com", "https://0042.wolkvox.com", "https://wv0042.wolkvox.com.evil.example",
		"https://evil.example/wv0042.wolkvox.com", "https://u:p@wv0042.wolkvox.com", "https://wv0042.wolkvox.com:8443",
		"https://wv0042.wolkvox.com@evil.example", "https://wv0042.evil.example", "https://wv0042wolkvox.com",
		`https://wv0042.wolkvox.com\evil`, "wv42.wolkvox.com", "wv0042.evil.example", "wv0042.wolkvox.com.", "0042.wolkvox.com", "https://wvab42.wolkvox.com", testToken,
	} {
		got, err := ParseServer(in)
		var se *ServerError
		if !errors.As(err, &se) || got != "" {
			t.Errorf("ParseServer(%q) = %q, %v", in, got, err)
			continue
		}
		noToken(t, err.Error())
		if !strings.Contains(err.Error(), "0042, 42, wv0042 or https://wv0042.wolkvox.com") {
			t.Errorf("%q does not say what is accepted", err)
		}
	}
}

func FuzzParseServer(f *testing.F) {
	for _, s := range []string{"42", "wv0042", "https://wv0042.wolkvox.com/x", "00042", "wv", "https://wv1", "123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseServer(in)
		if err != nil {
			if s != "" {
				t.Fatalf("%q beside an error", s)
			}
			return
		}
		if !s.canonical() || len(s) < 4 || len(s) > 6 || strings.Trim(string(s), "0123456789") != "" {
			t.Fatalf("ParseServer(%q) = %q", in, s)
		}
		for _, again := range []string{string(s), "wv" + string(s), "https://wv" + string(s) + vendorDomain} {
			if got, err := ParseServer(again); got != s || err != nil {
				t.Fatalf("ParseServer(%q) = %q, %v, want %q", again, got, err, s)
			}
		}
	})
}

func TestValidToken(t *testing.T) {
	for _, ok := range []string{"a", "7b69645f6469737472697d2d3230323", testToken, "{}-._~", strings.Repeat("x", MaxTokenLen)} {
		if err := ValidToken(ok); err != nil {
			t.Errorf("ValidToken(%q) = %v", ok, err)
		}
	}
	for _, bad := range []string{
		"", " ", "s3cr3t x", "s3cr3t\n", "\ts3cr3t", "s3cr3t\x00", "s3cr3t\x7f", "s3cr3té", "s3cr3t\xff",
		"s3cr3t\u00a0", strings.Repeat("s3cr3t", 100),
	} {
		err := ValidToken(bad)
		if err == nil {
			t.Errorf("ValidToken(%q) = nil", bad)
			continue
		}
		noToken(t, err.Error())
	}
}
