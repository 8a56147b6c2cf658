package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// mutation takes one mechanism out.
type mutation struct {
	Mechanism string // what is there, in words
	Change    string // what is done to it, in words
	Edits     []edit
	Package   string // of the test, from the root: "./internal/ledger", "./e2e/browser"
	Test      string // that must fail, as go test names it: "TestMiniredis/both_days"
}

// edit replaces the only place of Old in a file of the checkout.
type edit struct{ File, Old, New string }

// apply is the text with the edit done.
func (e edit) apply(text string) (string, error) {
	if n := strings.Count(text, e.Old); n != 1 {
		return "", fmt.Errorf("%s holds the text to be replaced %d times, not once:\n%s", e.File, n, e.Old)
	}
	return strings.Replace(text, e.Old, e.New, 1), nil
}

// pattern is what -test.run must be for exactly these tests, which are of one package.
// Names of more parts are run one at a time, since a pattern is matched part by part.
func pattern(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

func all() []mutation {
	return slices.Concat(quotaMutations, ledgerMutations, recoveryMutations, workerMutations, producerMutations, awayMutations, vendorMutations, scheduleMutations, healthMutations, filejobMutations, otherMutations, ledgerStateMutations, pageMutations, commandMutations, faultMutations, httpMutations, streamingMutations, meterMutations, receiptMutations, apiMutations, webhookMutations)
}

// in is the common case: one place of one file.
func in(file, old, with string) []edit { return []edit{{file, old, with}} }
