package api

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// A parameter that is not known is named, unless it may be a secret.
func TestUnknownParameterIsNamed(t *testing.T) {
	for given, want := range map[string]string{
		"strct":        "A parameter is wrong: strct: is not known here; those that are: strict",
		"Tok-0123=abc": "A parameter is wrong: a parameter is not known here; those that are: strict",
	} {
		_, err := query(httptest.NewRequest("GET", "/v1/batches?"+given, nil), "strict")
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "Tok") {
			t.Errorf("%s: %v, want %s", given, err, want)
		}
	}
}
