package main

import (
	"fmt"
	"os"
	"path/filepath"
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

// apply returns the files of the mutation below root, by full name, as they are and as it leaves them.
func (m mutation) apply(root string) (before, after map[string]string, err error) {
	before, after = map[string]string{}, map[string]string{}
	for _, e := range m.Edits {
		name := filepath.Join(root, e.File)
		if _, there := before[name]; !there {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, nil, err
			}
			before[name], after[name] = string(text), string(text)
		}
		if after[name], err = e.apply(after[name]); err != nil {
			return nil, nil, err
		}
	}
	return before, after, nil
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
