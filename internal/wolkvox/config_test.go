package wolkvox

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestURLTemplates(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "https://wv0042.wolkvox.com/api/v2/configuration.php?api=enable_module",
		"https://wv{server}.wolkvox.com/":      "https://wv0042.wolkvox.com/api/v2/configuration.php?api=enable_module",
		"HTTPS://WV{server}.WOLKVOX.com":       "https://wv0042.wolkvox.com/api/v2/configuration.php?api=enable_module",
		"http://127.0.0.1:8080/wv{server}":     "http://127.0.0.1:8080/wv0042/api/v2/configuration.php?api=enable_module",
		"http://127.9.9.9":                     "http://127.9.9.9/api/v2/configuration.php?api=enable_module",
		"http://[::1]:99/a/{server}/b/":        "http://[::1]:99/a/0042/b/api/v2/configuration.php?api=enable_module",
		"https://localhost:8443/wv{server}/v1": "https://localhost:8443/wv0042/v1/api/v2/configuration.php?api=enable_module",
	} {
		c, err := New(Config{URL: in})
		if err != nil {
			t.Errorf("New(%q): %v", in, err)
			continue
		}
		head := string(c.to.request(c.to.host("0042"), EnableModule, &Request{Server: "0042"}))
		path, rest, _ := strings.Cut(strings.TrimPrefix(head, "PUT "), " HTTP/1.1\r\nHost: ")
		host, _, _ := strings.Cut(rest, "\r\n")
		if got := c.to.scheme + "://" + host + path; got != want {
			t.Errorf("%q leads to %s, want %s", in, got, want)
		}
	}
}

func TestURLTemplatesRefused(t *testing.T) {
	for _, in := range []string{
		"http://wv{server}.wolkvox.com", "https://wv{server}.wolkvox.com:8443", "https://wv{server}.wolkvox.com/x",
		"https://wv0042.wolkvox.com", "https://{server}.wolkvox.com", "https://wv{server}.wolkvox.com.evil.example",
		"https://wv{server}.evil.example", "https://u:pass-word@wv{server}.wolkvox.com", "https://wv{server}.wolkvox.com@evil.example",
		"https://evil.example/wv{server}.wolkvox.com", "https://evil.example#wv{server}.wolkvox.com",
		`https://evil.example\wv{server}.wolkvox.com`, "http://10.0.0.1/wv{server}", "http://0.0.0.0", "http://2130706433",
		"http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://u:pass-word@127.0.0.1", "http://127.0.0.1:x",
		"http://127.0.0.1?x={server}", "http://127.0.0.1/{client}", "http://127.0.0.1/a%2fb", "http://[::1%25lo]:80",
		"ftp://127.0.0.1", "127.0.0.1:8080", "://", "http://", "https://wv{server}{server}.wolkvox.com", "http://{server}:80",
	} {
		_, err := New(Config{URL: in})
		if err == nil {
			t.Errorf("New(%q) is taken", in)
			continue
		}
		if strings.Contains(err.Error(), "pass-word") || !strings.Contains(err.Error(), DefaultURL) && !errors.Is(err, errExtras) {
			t.Errorf("%q", err)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if c.idle.keep != 4*time.Second {
		t.Errorf("%+v", c.cfg)
	}
	for host, want := range map[string]string{"wv0042.wolkvox.com": "wv0042.wolkvox.com:443", "[::1]": "[::1]:443", "localhost:1": "localhost:1"} {
		if got := c.to.address(host); got != want {
			t.Errorf("%s is dialled as %s, want %s", host, got, want)
		}
	}
}
