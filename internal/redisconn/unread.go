package redisconn

import (
	"cmp"
	"fmt"
	"slices"
)

// UnreadError says that some of what was asked for could not be read, and the rest was: most often one node of a
// Redis Cluster is away.
type UnreadError struct {
	What  string   // it is, with a place for the number: one of the following
	Names []string // of those that could not be read, each once
	Cause error    // of the first of them
}

// What can't be read.
const (
	Parts     = "%d of its 1024 parts" // of the ledger
	Batches   = "batches: %d"
	Schedules = "schedules: %d"
)

// Unreadable says that one thing could not be read.
func Unreadable(what, name string, cause error) error {
	return &UnreadError{what, []string{name}, cause}
}

// Error says how many are missing, and why.
func (e *UnreadError) Error() string {
	return fmt.Sprintf("can't be read (the first is %q): "+e.What+": %v", e.Names[0], len(e.Names), e.Cause)
}

// Unwrap is the cause.
func (e *UnreadError) Unwrap() error { return e.Cause }

// Add notes one that could not be read, once.
func (e *UnreadError) Add(name string, cause error) {
	e.Cause = cmp.Or(e.Cause, cause)
	if !slices.Contains(e.Names, name) {
		e.Names = append(e.Names, name)
	}
}

// Of is the error for so many that were asked for: nil if all were read, and the plain cause if none was.
func (e *UnreadError) Of(all int) error {
	switch len(e.Names) {
	case 0:
		return nil
	case all:
		return e.Cause
	}
	return e
}

// Unread are the things that an error says could not be read, one for each What. There are none for nil, and for an
// error after which nothing is left. Errors of thousands of things may be joined one by one.
func Unread(err error) (all []*UnreadError) {
	known := map[string]bool{}
	for _, u := range unreadIn(err, nil) {
		i := slices.IndexFunc(all, func(have *UnreadError) bool { return have.What == u.What })
		if i < 0 {
			i, all = len(all), append(all, &UnreadError{What: u.What, Cause: u.Cause})
		}
		for _, name := range u.Names {
			if id := u.What + name; !known[id] {
				known[id] = true
				all[i].Names = append(all[i].Names, name)
			}
		}
	}
	return all
}

// unreadIn are those in the tree of err, behind what is found already.
func unreadIn(err error, found []*UnreadError) []*UnreadError {
	switch e := err.(type) {
	case *UnreadError:
		return append(found, e)
	case interface{ Unwrap() error }:
		return unreadIn(e.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			found = unreadIn(one, found)
		}
	}
	return found
}

// Partly reports whether something was read: all, or all but what the error names.
func Partly(err error) bool { return err == nil || len(Unread(err)) > 0 }
