package membership

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// TokenIDKey is the shared setting for the fingerprint of the token-ID key, which nobody sets by hand.
const TokenIDKey = "NAMING_KEY"

// Difference is a shared setting for which the others have another value.
type Difference struct {
	Name string
	// Mine is the value of the process that was refused, Theirs that of those that are
	// alive.
	Mine, Theirs string
}

// MismatchError says that live processes use other settings. The one that gets it must
// not run.
type MismatchError struct {
	// Differences are sorted by name; never empty.
	Differences []Difference
	// With are the processes that differ, the oldest first; never empty.
	With []Process
}

// Error says each difference, with whom, and what to do next.
func (e *MismatchError) Error() string {
	var b strings.Builder
	b.WriteString("this process disagrees with others that use the same Redis:")
	for _, d := range e.Differences {
		fmt.Fprintf(&b, "\n  %s is %q here and %q there", d.Name, d.Mine, d.Theirs)
	}
	const most = 5
	for i, p := range e.With {
		if i == most {
			fmt.Fprintf(&b, "\n  and %d more", len(e.With)-most)
			break
		}
		fmt.Fprintf(&b, "\n  there: %s", p)
	}
	if slices.ContainsFunc(e.Differences, func(d Difference) bool { return d.Name == TokenIDKey }) {
		fmt.Fprintf(&b, "\nthe token-ID key in Redis was replaced while they ran, and nothing sets it: they stop by themselves, "+
			"or are forgotten after %v; then start this one again", TTL)
		return b.String()
	}
	fmt.Fprintf(&b, "\nstart this one with their values; or, to change the values, stop all that use them first "+
		"(one that crashed is forgotten after %v)", TTL)
	return b.String()
}

// mismatch reads the records that the script answered with.
func mismatch(mine Settings, answered []string) error {
	others, err := parseAll(answered)
	if err != nil {
		return err
	}
	e := &MismatchError{}
	for name, value := range mine {
		for _, other := range others {
			if theirs, ok := other.Settings[name]; ok && theirs != value {
				e.Differences = append(e.Differences, Difference{name, value, theirs})
				break // live ones agree, so the first has the value of all
			}
		}
	}
	for _, other := range others {
		e.With = append(e.With, other.Process)
	}
	slices.SortFunc(e.Differences, func(a, b Difference) int { return strings.Compare(a.Name, b.Name) })
	sortProcesses(e.With)
	return e
}

func parseAll(texts []string) ([]record, error) {
	all := make([]record, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &all[i]); err != nil {
			return nil, fmt.Errorf("membership: the record of a process: %w", err)
		}
	}
	return all, nil
}

func sortProcesses(ps []Process) {
	slices.SortFunc(ps, func(a, b Process) int { return cmp.Or(a.Started.Compare(b.Started), strings.Compare(a.ID, b.ID)) })
}
