package ledger

import (
	"fmt"
	"reflect"
)

// Fields in Redis have short names, which stay the same across versions. Their names in code are defined here, for Go and
// for the scripts: chainField.LeaseEnds is C.lease_ends there (luaNames).

// chainField are the fields of a chain's hash.
var chainField = struct {
	State, Head, Number, Nonce, LeaseEnds, Days, Spent, FirstPushBack, Failures, Reason, WaitsUntil, WaiterSince, Missed, OpenOf string
}{
	State:         "s",  // of chainState
	Head:          "h",  // reference of the head; "" while the chain passes over calls that ended
	Number:        "f",  // of its last dispatch
	Nonce:         "n",  // of the last attempt
	LeaseEnds:     "e",  // of the last attempt, ms
	Days:          "d",  // on which the last attempt was counted
	Spent:         "a",  // attempts of the head's budget
	FirstPushBack: "p",  // in this budget, ms
	Failures:      "t",  // in a row
	Reason:        "y",  // why the chain waits
	WaitsUntil:    "u",  // ms; of one that runs, when the first look after the end of its lease was (dispatch.lua)
	WaiterSince:   "z",  // since when it waits for a slot, ms
	Missed:        "m",  // times that a dispatch went unanswered; of one that runs, looks in a row after the end of its lease
	OpenOf:        "o:", // begins the fields with the number of open calls of each batch, whose id follows
}

// chainState are the states of a chain. A chain that is dispatched for the reason ServerBusy has a worker that waits for
// a place at its server.
var chainState = struct{ Ready, Dispatched, Running, Waiting, WaitingForSlot, Held string }{"r", "f", "x", "w", "l", "h"}

// countField are the fields of a batch's counts in a bucket. A state's count has the letter of that state in a record.
var countField = struct {
	Total, Succeeded, Failed, Skipped, Cancelled, Blocked, HeldChains, Policy, BatchCancelled, Changed, FirstDue, LastDue, Receipt string
}{
	Total: "t", Succeeded: "s", Failed: "f", Skipped: "k", Cancelled: "c",
	Blocked: "b", HeldChains: "g", // open calls behind held heads; chains with such a head
	Policy: "p", BatchCancelled: "x", // "1": the batch takes no more calls
	Changed:  "at", // when a count changed last, ms; not told of a call that succeeds before others of its batch
	FirstDue: "e",  // when the first call is due, ms; absent if one was due at once (note_due in append.lua)
	LastDue:  "l",  // when the last call is due that was put off, ms
	Receipt:  "r",  // what became of the last group of new calls (ARGV[6] of append.lua)
}

// luaNames returns these names as the scripts have them: one Lua table for each struct.
func luaNames() string {
	text := ""
	for i, names := range []any{chainField, chainState, countField} {
		v := reflect.ValueOf(names)
		text += "local " + [...]string{"C", "STATE", "COUNT"}[i] + " = { "
		for j := range v.NumField() {
			text += fmt.Sprintf("%s = '%s', ", snakeCase(v.Type().Field(j).Name), v.Field(j))
		}
		text += "}\n"
	}
	return text
}

// snakeCase returns lease_ends for LeaseEnds.
func snakeCase(name string) string {
	var snake []byte
	for _, c := range []byte(name) {
		if c <= 'Z' {
			snake = append(snake, '_')
		}
		snake = append(snake, c|0x20)
	}
	return string(snake[1:])
}
