package rows

import (
	"errors"
	"strings"
	"testing"
)

// The row behind a bad one waits for it only if the bad one's token is known.
func TestTokenAndChainOfABadRow(t *testing.T) {
	const head = "server,token,licenses,chain,ref,id\n"
	for _, c := range []struct {
		about, text  string
		token, chain string
		unknown      bool // the chain
	}{
		{"a ref of another encoding", head + "1,tok,5,c,Bogot\xe1,\n", "tok", "c", false},
		{"a server of another encoding", head + "\xe1,tok,5,c,,\n", "tok", "c", false},
		{"a chain of another encoding", head + "1,tok,5,\xe1,,\n", "tok", "", true},
		{"a token of another encoding", head + "1,tok\xe1,5,c,,\n", "", "c", false},
		{"an unquoted comma in the ref", head + "1,tok,5,c,Bogota, north,\n", "tok", "", true},
		{"a surplus field where a comma may stand before the token", "ref,server,token\na,b,1,tok\n", "", "", false},
		{"a ref with a line break", head + "1,tok,5,c,\"Bogota\nnorth\",i\n", "tok", "c", false},
		{"a broken quote before the chain", "server,token,ref,chain\n1,tok,a\"b,c\n", "tok", "", true},
		{"a broken quote before the token", "server,ref,token\n1,\"a,tok\n", "", "", false},
		{"the server is lacking", "token,server,chain\ntok\n", "tok", "", true},
		{"a last line that is cut off", "server,token,licenses,chain\n1,tok,5", "tok", "", true},
		{"an unknown field, which may be the chain", `{"server":"1","token":"tok","chian":"c"}`, "tok", "", true},
		{"a ref of another encoding, in JSON", "{\"server\":\"1\",\"ref\":\"Bogot\xe1\",\"token\":\"tok\",\"chain\":\"c\"}", "tok", "c", false},
		{"half a character in JSON", `{"server":"1","ref":"\ud800","token":"tok","chain":"c"}`, "tok", "c", false},
		{"a token that is given twice", `{"server":"1","token":"a","token":"b","chain":"c"}`, "", "c", false},
		{"a ref that is given twice", `{"server":"1","token":"tok","ref":"a","ref":"b","chain":"c"}`, "tok", "c", false},
		{"a chain that is given twice", `{"server":"1","token":"tok","chain":"b","chain":"c"}`, "tok", "", true},
		{"more fields than columns, and a broken quote", "server,token\n1,tok,a,\"b\n", "tok", "", false},
		{"a ref that is neither text nor a number", `{"server":"1","ref":true,"token":"tok","chain":"c"}`, "tok", "c", false},
		{"a ref that is a list", `{"server":"1","token":"tok","ref":[],"chain":"c"}`, "tok", "", true},
		{"JSON that is broken behind the token", `{"server":"1","token":"tok",`, "tok", "", true},
	} {
		for row, err := range Read(strings.NewReader(c.text), "f", Auto, UTF8) {
			var bad *RowError
			if !errors.As(err, &bad) {
				t.Errorf("%s: %v", c.about, err)
			} else if row.Token != c.token || row.Chain != c.chain || bad.ChainUnknown != c.unknown {
				t.Errorf("%s (%v): token %q, chain %q, unknown %t", c.about, err, row.Token, row.Chain, bad.ChainUnknown)
			}
			break // what follows is the rest of the first line
		}
	}
}
