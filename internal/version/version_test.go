package version

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	vcs := map[string]string{"vcs.revision": "abc", "vcs.time": "2026-11-01T00:00:00Z"}
	for _, c := range []struct {
		commit, date string
		settings     map[string]string
		want         string
	}{
		{"", "", nil, "v1 (commit not known, built at a time not known)"},
		{"def", "2026-11-29T12:00:00Z", nil, "v1 (commit def, built 2026-11-29T12:00:00Z)"},
		{"def", "2026-11-29T12:00:00Z", vcs, "v1 (commit def, built 2026-11-29T12:00:00Z)"},
		{"", "", vcs, "v1 (commit abc, committed 2026-11-01T00:00:00Z)"},
		{"", "", map[string]string{"vcs.revision": "abc", "vcs.modified": "true"}, "v1 (commit abc with changes, built at a time not known)"},
	} {
		if got := text("v1", c.commit, c.date, c.settings); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if s := String(); !strings.Contains(s, "commit ") {
		t.Errorf("%q", s)
	}
	if s := Short(); len(s) < 5 || strings.Contains(s, "commit") || !strings.HasPrefix(String(), strings.Fields(s)[0]+" (commit "+strings.Fields(s)[1]) {
		t.Errorf("%q of %q", s, String())
	}
}
