// Package examples has files to try the commands with. Their tokens are made up.
package examples

import (
	_ "embed"
	"strings"
)

// OperationsName is the name in messages of the file that Operations reads.
const OperationsName = "examples/operations.csv"

//go:embed operations.csv
var operations string

// Operations reads examples/operations.csv: some forty operations of a contact centre on
// a dozen servers, each with the modules to enable, in order. The demo's vendor does not
// know the token that begins with "demo-bad-", and has almost no quota left for the one
// that begins with "demo-used-".
func Operations() *strings.Reader { return strings.NewReader(operations) }
