package rows

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"habilita/internal/wolkvox"
)

const all = "server,token,licenses,chain,ref,id\n"

func TestCSVGoodFiles(t *testing.T) {
	full := "2 0001 tok 5 \"c\" \"some ref\" \"i\"\n"
	tests := []struct{ name, in, want string }{
		{"all columns", all + "0001,tok,5,c,some ref,i\n", full},
		{"no last newline", all + "0001,tok,5,c,some ref,i", full},
		{"CR LF", strings.ReplaceAll(all+"0001,tok,5,c,some ref,i\n", "\n", "\r\n"), full},
		{"byte order mark", "\xef\xbb\xbf" + all + "0001,tok,5,c,some ref,i\n", full},
		{"semicolons", strings.ReplaceAll(all+"0001,tok,5,c,some ref,i\n", ",", ";"), full},
		{"tabs", strings.ReplaceAll(all+"0001,tok,5,c,some ref,i\n", ",", "\t"), full},
		{"any order and case", " ID ,Ref,CHAIN,Licenses,TOKEN,\"Server\"\ni,some ref,c, 5 ,tok, 0001 \n", full},
		{"quotes", all + `"0001","tok","5","c","some ref","i"` + "\n", full},
		{"quoted separator and quote", "server,token,ref\n1,t,\"a, \"\"b\"\"\"\n", "2 1 t 0 \"\" \"a, \\\"b\\\"\" \"\"\n"},
		{"required columns alone", "token,server\nt,1\n", "2 1 t 0 \"\" \"\" \"\"\n"},
		{"empty optional fields", all + "1,t,,,,\n", "2 1 t 0 \"\" \"\" \"\"\n"},
		{"blank lines count", "\n \nserver,token\n\n1,t\n\t\n\r\n2,u\n\n\n", "5 1 t 0 \"\" \"\" \"\"\n8 2 u 0 \"\" \"\" \"\"\n"},
		{"sep line", "sep=;\r\nserver;token\r\n1;t\r\n", "3 1 t 0 \"\" \"\" \"\"\n"},
		{"sep line, tab, in capitals", "\xef\xbb\xbfSEP=\t\nserver\ttoken\n1\tt\n", "3 1 t 0 \"\" \"\" \"\"\n"},
		{"separators alone", ",,,\n" + all + ",,,,,\n1,t,,,,\n , ,,,,\n\"\",\"\",,,,\n,,\n", "4 1 t 0 \"\" \"\" \"\"\n"},
		{"Spanish", "Servidor;TOKEN;licencias;Cadena;referencia;id\n0001;tok;5;c;some ref;i\n", full},
		{"Spanish and English", "servidor,token,licenses,cadena,ref,id\n0001,tok,5,c,some ref,i\n", full},
		{"optional fields left out", all + "0001,tok\n0002,tok,5\n", "2 0001 tok 0 \"\" \"\" \"\"\n3 0002 tok 5 \"\" \"\" \"\"\n"},
		{"optional fields left out, CR LF", "server;token;ref\r\n1;t\r\n", "2 1 t 0 \"\" \"\" \"\"\n"},
		{"text outside ASCII", "server,token,ref\n1,t,Peña 日本\n", "2 1 t 0 \"\" \"Peña 日本\" \"\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, "f.csv", tt.in, Auto, UTF8)
			if res.file != nil || len(res.bad) > 0 {
				t.Fatalf("faults: %v %v", res.file, res.faults())
			}
			if got := res.text(); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestCSVBadRowsAlone(t *testing.T) {
	max := strings.Repeat("n", MaxName)
	name := "must be 1 to 128 printable ASCII characters without spaces"
	number := "must be a whole number from 1 to 1000000"
	const dots = `can't be "." or "..": in an address, these mean folders`
	space, control := "it has white space in it", "it has a control character in it"
	tests := []struct{ name, row, want string }{
		{"missing field", "0001", "token: is missing: the row has 1 fields, the header 6"},
		{"surplus field", "0001,tok,5,c,r,i,x", "row: has a surplus field: it has 7, the header 6"},
		{"no server", ",tok,5,c,r,i", "server: is missing"},
		{"no token", "0001,,5,c,r,i", "token: is missing"},
		{"server with a space", "00 01,tok,5,c,r,i", "server: it is not a number; " + wolkvox.ServerForms},
		{"token with a space", "0001,to k,5,c,r,i", "token: " + space},
		{"token with a space before", "0001, tok,5,c,r,i", "token: " + space},
		{"token with a tab", "0001,to\tk,5,c,r,i", "token: " + space},
		{"token with a wide space", "0001,to\u00a0k,5,c,r,i", "token: it has a character outside of ASCII in it"},
		{"token that was written as text", "0001,[redacted],5,c,r,i", "token: is the text that a token prints as, not a token"},
		{"token with a control character", "0001,to\x01k,5,c,r,i", "token: " + control},
		{"token with NUL", "0001,to\x00k,5,c,r,i", "token: " + control},
		{"zero licences", "0001,tok,0,c,r,i", "licenses: " + number},
		{"negative licences", "0001,tok,-1,c,r,i", "licenses: " + number},
		{"half a licence", "0001,tok,1.5,c,r,i", "licenses: " + number},
		{"licences with a plus", "0001,tok,+1,c,r,i", "licenses: " + number},
		{"too many licences", "0001,tok,1000001,c,r,i", "licenses: " + number},
		{"licences overflow", "0001,tok,99999999999999999999999,c,r,i", "licenses: " + number},
		{"licences in words", "0001,tok,five,c,r,i", "licenses: " + number},
		{"chain with a space", "0001,tok,5,a b,r,i", "chain: " + name},
		{"chain outside ASCII", "0001,tok,5,ñ,r,i", "chain: " + name},
		{"long chain", "0001,tok,5," + max + "n,r,i", "chain: " + name},
		{"long id", "0001,tok,5,c,r," + max + "n", "id: " + name},
		{"one dot as id", "0001,tok,5,.,.,.", "id: " + dots},
		{"two dots as id", "0001,tok,5,..,..,..", "id: " + dots},
		{"long ref", "0001,tok,5,c," + strings.Repeat("r", MaxRef+1) + ",i", "ref: is longer than 256 characters"},
		{"ref with a control character", "0001,tok,5,c,a\x7fb,i", "ref: has a control character"},
		{"lone CR", "0001,tok,5,c,a\rb,i", "ref: has a control character"},
		{"invalid UTF-8", "0001,tok,5,c,Pe\xf1a,i", "ref: is not valid UTF-8"},
		{"invalid UTF-8 in a broken row", "0001,tok,5,c,\"Pe\xf1a,i", "row: is not valid UTF-8"},
		{"invalid UTF-8 in the token", "0001,t\xff,5,c,r,i", "token: is not valid UTF-8"},
		{"open quote", `0001,tok,5,c,"r,i`, "row: has a quote that is not closed on its line"},
		{"bare quote", `0001,to"k,5,c,r,i`, `row: has a quote inside a field that does not begin with one (write "" inside quotes)`},
		{"text behind a quote", `0001,"to"k,5,c,r,i`, "row: has text behind a closing quote"},
		{"over 64 KiB", "0001,tok,5,c,r," + strings.Repeat("i", MaxLine), "row: is longer than 64 KiB"},
		{"empty required fields", ",,,,,i", "server: is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := all + "1,first,,,,\n" + tt.row + "\n2,last,1000000," + max + ",," + max + "\n"
			res := read(t, "f.csv", in, CSV, UTF8)
			if res.file != nil || len(res.rows) != 2 || res.rows[0].Token != "first" ||
				res.rows[1].Token != "last" || res.rows[1].Line != 4 {
				t.Fatalf("the other rows suffer: %v %v", res.file, res.rows)
			}
			if got, want := res.faults(), []string{"3: " + tt.want}; !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			want := tt.row[:min(len(tt.row), MaxLine+1)]
			if string(res.bad[0].Raw) != want || string(res.bad[0].Shape.header)+"\n" != all {
				t.Error("the raw row or the header was changed")
			}
		})
	}
}

func TestFilesThatAreNone(t *testing.T) {
	const secret = "s3cr3t-t0k3n"
	tests := []struct{ name, file, in, want string }{
		{"no header", "f.csv", "0001," + secret + "\n", "f.csv:1: has no header"},
		{"no header, a known word", "f.csv", "0001," + secret + ",1,chain\n", `f.csv:1: the header lacks the column "server"`},
		{"no token column", "f.csv", "server,licenses\n", `lacks the column "token"`},
		{"misspelt", "f.csv", "server,tokn\n", `lacks the column "token"; the columns are server, token, licenses, chain, ref, id`},
		{"token among the columns", "f.csv", "server,token,tok-9\n", `f.csv:1: the header: column 3 is unknown; the columns are server, token`},
		{"unknown columns", "f.csv", "\nserver,token,colour,size\n", `f.csv:2: the header: unknown column "colour", unknown column "size"; the columns are server, token`},
		{"column without a name", "f.csv", "server,token,\n", "column 3 has no name"},
		{"column twice", "f.csv", "server,token,Token\n", `names the column "token" twice`},
		{"column in two languages", "f.csv", "server,token,Servidor\n", `names the column "server" twice (servidor is the same in Spanish)`},
		{"ref in two languages", "f.csv", "server,token,referencia,ref\n", `names the column "ref" twice (referencia is the same in Spanish)`},
		{"sep line with no separator", "f.csv", "sep=|\nserver|token\n", `f.csv:1: the separator that "sep=" names must be a comma, a semicolon or a tab`},
		{"sep line of two", "f.csv", "sep=;;\nserver;token\n", `f.csv:1: the separator that "sep="`},
		{"sep line twice", "f.csv", "sep=;\nsep=;\nserver;token\n", "f.csv:2: has no header"},
		{"broken header", "f.csv", "server,\"token\n", "the header has a quote"},
		{"header not UTF-8", "f.csv", "server,token,\xf1\n", "not valid UTF-8"},
		{"long header", "f.csv", "server,token," + strings.Repeat(" ", MaxLine), "longer than 64 KiB"},
		{"CR alone", "f.csv", "server,token\r1,t\r", "CR alone"},
		{"UTF-16 without a mark", "f.csv", "s\x00e\x00r\x00", "UTF-16"},
		{"Excel", "f.csv", "PK\x03\x04...", "CSV UTF-8"},
		{"gzip", "f.jsonl", "\x1f\x8b\x08", "compressed"},
		{"JSON array", "f.json", "[{\"server\":1}]\n", "JSON array"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, tt.file, tt.in, Auto, UTF8)
			if res.file == nil || !strings.Contains(res.file.Error(), tt.want) {
				t.Fatalf("got %v, want %q", res.file, tt.want)
			}
			if strings.Contains(res.file.Error(), secret) {
				t.Error("the error shows a token")
			}
			if len(res.rows)+len(res.bad) > 0 {
				t.Error("rows came with it")
			}
		})
	}
}

func TestReadErrorEndsTheFile(t *testing.T) {
	broken := errors.New("disk on fire")
	r := io.MultiReader(strings.NewReader("server,token\n1,t\n2,u"), iotest.ErrReader(broken))
	var rows int
	var last error
	for _, err := range Read(r, "f.csv", Auto, UTF8) {
		if last = err; err == nil {
			rows++
		}
	}
	var fe *FileError
	if rows != 1 || !errors.As(last, &fe) || !errors.Is(last, broken) || fe.Line != 3 {
		t.Errorf("%d rows, then %v; the half row must not count", rows, last)
	}
}

func TestRangeMayEndEarly(t *testing.T) {
	for row := range Read(strings.NewReader("server,token\n1,t\n2,u\n"), "f.csv", Auto, UTF8) {
		if row.Token != "t" {
			t.Errorf("got %v", row)
		}
		break
	}
}

// An error about a server or a token does not show it: if columns were mixed up, it may be a token.
func TestServersAndTokensAreThoseOfTheVendor(t *testing.T) {
	in := "server,token\n1,a\nwv0001,a\n1,evil token\nevil-token,b\n"
	res := read(t, "f.csv", in, Auto, UTF8)
	if len(res.rows) != 2 || res.rows[0].Server != "0001" || res.rows[1].Server != "0001" {
		t.Errorf("rows %v", res.rows)
	}
	got := res.faults()
	if len(got) != 2 || !strings.HasPrefix(got[0], "4: token: ") || !strings.HasPrefix(got[1], "5: server: ") || strings.Contains(strings.Join(got, ""), "evil") {
		t.Errorf("got %q", got)
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	res := read(t, "f.csv", "server,token\n1,s3cr3t\n1,s3cr3t x\n", Auto, UTF8)
	for _, v := range []any{res.rows[0], &res.rows[0], res.bad[0], res.rows, res.bad} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "s3cr3t") {
				t.Errorf("%T under %s: %s", v, verb, s)
			}
		}
	}
}
