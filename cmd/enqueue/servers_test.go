package main

import (
	"regexp"
	"strings"
	"testing"
)

// People read whether a server is up; programs read the states that the contract has.
func TestServersAreUpOrDown(t *testing.T) {
	r := newRunner(t)
	for server, state := range map[string]string{"0001": "closed", "0002": "open", "0003": "half_open"} {
		if err := r.w.rdb.HSet(t.Context(), prefix+":{health}:servers", server, `{"State":"`+state+`","Since":1764000000000,"Next":1764000060000}`).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"servers"}, []string{`(?m)^0001 +up +2025`, `(?m)^0002 +down +2025`, `(?m)^0003 +down, a probe is under way +2025`}},
		{[]string{"servers", "--json"}, []string{`"server":"0001","state":"closed",`, `"since":"2025-11-24T16:00:00.000Z","next_probe":null\}\n`, `"state":"open"`, `"state":"half_open"`}},
	} {
		status, out, errs := r.run(t.Context(), nil, tt.args...)
		if status != exitOK {
			t.Fatalf("exit %d: %s", status, errs)
		}
		for _, want := range tt.wants {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
		if len(tt.args) == 1 && strings.Contains(out, "closed") {
			t.Errorf("%s", out)
		}
	}
}
