// Package examples holds files to try the commands with. Their tokens are made up.
package examples

import (
	_ "embed"
	"strings"
)

// OperationsName is what messages call the file of Operations.
const OperationsName = "examples/operations.csv"

//go:embed operations.csv
var operations string

// Operations reads examples/operations.csv: some forty operations of a contact centre on
// a dozen servers, each with the modules that are to be enabled, in order. The vendor of
// the demo knows nothing of the token that begins with "demo-bad-", and has almost no
// quota left for the one that begins with "demo-used-".
func Operations() *strings.Reader { return strings.NewReader(operations) }
