package ledger

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// What stands in Redis has short names, and keeps them over versions. Their names in code are defined here for Go and for
// the scripts: chainField.LeaseEnds is C.lease_ends there (luaNames).

// chainField are the fields of a chain's hash.
var chainField = chainFields{
	State: "s", Head: "h", Number: "f", Nonce: "n", LeaseEnds: "e", Spent: "a", FirstPushBack: "p", Failures: "t",
	Reason: "y", WaitsUntil: "u", WaiterSince: "z", Missed: "m", Days: "d", OpenOf: "o:",
}

type chainFields struct {
	State         string // of chainState
	Head          string // reference of the head; "" while the chain passes over calls that ended
	Number        string // of its last dispatch
	Nonce         string // of the last attempt
	LeaseEnds     string // of the last attempt, ms
	Days          string // on which the last attempt was counted
	Spent         string // attempts of the head's budget
	FirstPushBack string // in this budget, ms
	Failures      string // in a row
	Reason        string // why the chain waits
	WaitsUntil    string // ms; of one that runs, when the first look after the end of its lease was (dispatch.lua)
	WaiterSince   string // since when it waits for a slot, ms
	Missed        string // times that a dispatch went unanswered; of a chain that runs, looks in a row after the end of its lease
	OpenOf        string // begins the fields with the number of open calls of each batch, whose id follows
}

// chainState are the states of a chain. A chain that is dispatched for the reason ServerBusy has a worker that waits for
// a place at its server.
var chainState = struct{ Ready, Dispatched, Running, Waiting, WaitingForSlot, Held string }{
	Ready: "r", Dispatched: "f", Running: "x", Waiting: "w", WaitingForSlot: "l", Held: "h",
}

// countField are the fields of a batch's counts in a bucket.
var countField = countFields{
	Total: "t", Succeeded: "s", Failed: "f", Skipped: "k", Cancelled: "c", Blocked: "b", HeldChains: "g", Policy: "p",
	BatchCancelled: "x", Changed: "at", FirstDue: "e", LastDue: "l", Receipt: "r",
}

type countFields struct {
	Total, Succeeded, Failed, Skipped, Cancelled string // calls; by state, they are named as in records

	Blocked        string // open calls behind held heads
	HeldChains     string
	Policy         string
	BatchCancelled string // "1": the batch takes no more calls
	Changed        string // when a count changed last, ms; not told of a call that succeeds before others of its batch
	FirstDue       string // when the first call is due, ms; absent if one was due at once (note_due in append.lua)
	LastDue        string // when the last call is due that was put off, ms
	Receipt        string // what became of the last group of new calls (ARGV[6] of append.lua)
}

// luaNames are the names as base.lua has them.
func luaNames() string {
	return luaTable("C", chainField) + luaTable("STATE", chainState) + luaTable("COUNT", countField)
}

// luaTable is a struct of texts as a table of Lua: LeaseEnds is lease_ends.
func luaTable(name string, names any) string {
	v := reflect.ValueOf(names)
	entries := make([]string, v.NumField())
	for i := range entries {
		word := ""
		for j, r := range v.Type().Field(i).Name {
			if j > 0 && unicode.IsUpper(r) {
				word += "_"
			}
			word += string(unicode.ToLower(r))
		}
		entries[i] = fmt.Sprintf("%s = '%s'", word, v.Field(i))
	}
	return "local " + name + " = { " + strings.Join(entries, ", ") + " }\n"
}
