package rows

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestJSONLinesGood(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"texts", `{"server":"0001","token":"tok","licenses":"5","chain":"c","ref":"r","id":"i"}`, "1 0001 tok 5 \"c\" \"r\" \"i\"\n"},
		{"numbers", `{"server":42,"token":"tok","licenses":5,"ref":7.5,"id":9,"chain":1}`, "1 42 tok 5 \"1\" \"7.5\" \"9\"\n"},
		{"integers as JSON Schema has them", `{"server":"1","token":"t","licenses":5.0}` + "\n" + `{"server":"1","token":"t","licenses":1e3}` + "\n" + `{"server":"1","token":"t","licenses":50E-1}`,
			"1 1 t 5 \"\" \"\" \"\"\n2 1 t 1000 \"\" \"\" \"\"\n3 1 t 5 \"\" \"\" \"\"\n"},
		{"pairs, and what looks like one", `{"server":"1","token":"t","ref":"\uD83D\ude00 \\ud800"}`, "1 1 t 0 \"\" \"😀 \\\\ud800\" \"\"\n"},
		{"spaces", " \t{ \"server\" : \"1\" , \"token\" : \"t\" } ", "1 1 t 0 \"\" \"\" \"\"\n"},
		{"null is not given", `{"server":"1","token":"t","licenses":null,"ref":null}`, "1 1 t 0 \"\" \"\" \"\"\n"},
		{"escapes", `{"server":"1","token":"t","ref":"a\"b\\cé😀\/"}`, "1 1 t 0 \"\" \"a\\\"b\\\\cé😀/\" \"\"\n"},
		{"Spanish", `{"servidor":1,"token":"t","licencias":5,"cadena":"c","referencia":"r","id":-7}`, "1 1 t 5 \"c\" \"r\" \"-7\"\n"},
		{"case of names", `{"Server":"1","TOKEN":"t"}`, "1 1 t 0 \"\" \"\" \"\"\n"},
		{"lines", "\xef\xbb\xbf{\"server\":1,\"token\":\"t\"}\r\n\r\n{\"server\":2,\"token\":\"u\"}", "1 1 t 0 \"\" \"\" \"\"\n3 2 u 0 \"\" \"\" \"\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, "f.jsonl", tt.in, Auto, UTF8)
			if res.file != nil || len(res.bad) > 0 || res.text() != tt.want {
				t.Errorf("%v %v got\n%swant\n%s", res.file, res.faults(), res.text(), tt.want)
			}
		})
	}
}

func TestJSONLinesBadRowsAlone(t *testing.T) {
	tests := []struct{ name, row, want string }{
		{"member twice", `{"server":"1","token":"t","server":"2"}`, `row: names the column "server" twice (servidor is the same in Spanish)`},
		{"member twice, escaped", `{"id":"1","token":"t","\u0069d":"2","server":"2"}`, `row: names the column "id" twice`},
		{"member twice in two cases", `{"server":"1","token":"t","Token":"t"}`, `row: names the column "token" twice`},
		{"member in two languages", `{"servidor":"1","token":"t","server":"1"}`, `row: names the column "server" twice (servidor is the same in Spanish)`},
		{"id with an exponent", `{"server":"1","token":"t","id":1e3}`, "id: must be text in quotes, or a whole number in plain digits"},
		{"id with a point", `{"server":"1","token":"t","id":5.0}`, "id: must be text in quotes, or a whole number in plain digits"},
		{"half an id", `{"server":"1","token":"t","id":1.5}`, "id: must be text in quotes, or a whole number in plain digits"},
		{"id minus zero", `{"server":"1","token":"t","id":-0}`, "id: must be text in quotes, or a whole number in plain digits"},
		{"chain with an exponent", `{"server":"1","token":"t","chain":1E3}`, "chain: must be text in quotes, or a whole number in plain digits"},
		{"invalid UTF-8 in the token", "{\"server\":\"1\",\"token\":\"\xff\",\"ref\":\"\"}", "token: is not valid UTF-8"},
		{"invalid UTF-8 in a name", "{\"server\":\"1\",\"token\":\"t\",\"r\xff\":\"\"}", "row: is not valid UTF-8"},
		{"array", `["1","t"]`, "row: is not a JSON object"},
		{"text", `"x"`, "row: is not a JSON object"},
		{"CSV", `1,t`, "row: is not a JSON object"},
		{"empty object", `{}`, "server: is missing"},
		{"no token", `{"server":"1"}`, "token: is missing"},
		{"null token", `{"server":"1","token":null}`, "token: is missing"},
		{"token a number", `{"server":"1","token":123}`, "token: must be text in quotes"},
		{"bool", `{"server":true,"token":"t"}`, "server: is neither text nor a number"},
		{"unknown field", `{"server":"1","token":"t","colour":"red"}`, `row: has an unknown field "colour"; the fields are ` + knownColumns},
		{"unknown empty field", `{"server":"1","token":"t","":"red"}`, `row: has an unknown field; the fields are ` + knownColumns},
		{"token as a name", `{"server":"1","s3cr3t":"t"}`, "row: has an unknown field; the fields are " + knownColumns},
		{"nested object", `{"server":"1","token":"t","ref":{"a":1}}`, "row: has a nested value; a row is one flat JSON object"},
		{"nested array", `{"server":"1","token":"t","ref":[1]}`, "row: has a nested value; a row is one flat JSON object"},
		{"cut off", `{"server":"1","token":"s3cr3t`, "row: is broken JSON, at byte 30"},
		{"trailing comma", `{"server":"1",}`, "row: is broken JSON, at byte 14"},
		{"two objects", `{"server":"1","token":"t"}{}`, "row: has text behind its JSON object"},
		{"bad number", `{"server":"1","token":"t","licenses":05}`, "row: is broken JSON, at byte 39"},
		{"half a licence", `{"server":"1","token":"t","licenses":1.5}`, "licenses: must be a whole number from 1 to 1000000"},
		{"above all licences", `{"server":"1","token":"t","licenses":1e9}`, "licenses: must be a whole number from 1 to 1000000"},
		{"above all numbers", `{"server":"1","token":"t","licenses":1e999}`, "licenses: must be a whole number from 1 to 1000000"},
		{"less than zero licences", `{"server":"1","token":"t","licenses":-5.0}`, "licenses: must be a whole number from 1 to 1000000"},
		{"half a surrogate pair", `{"server":"1","token":"t","ref":"a\ud800b"}`, "ref: " + HalfSurrogateProblem},
		{"its other half", `{"server":"1","token":"t","ref":"\udc00"}`, "ref: " + HalfSurrogateProblem},
		{"a pair the wrong way round", `{"server":"1","token":"t","ref":"\udc00\ud800"}`, "ref: " + HalfSurrogateProblem},
		{"two first halves", `{"server":"1","token":"t","ref":"\ud800\ud800"}`, "ref: " + HalfSurrogateProblem},
		{"half a pair in a token", `{"server":"1","token":"\uD9ff","ref":"\"}`, "token: " + HalfSurrogateProblem},
		{"half a pair in a name", `{"server":"1","token":"t","r\ud800":""}`, "row: " + HalfSurrogateProblem},
		{"half a pair in an ID", `{"server":"1","token":"t","id":"\uDFFF"}`, "id: " + HalfSurrogateProblem},
		{"zero licences", `{"server":"1","token":"t","licenses":0}`, "licenses: must be a whole number from 1 to 1000000"},
		{"space in the token", `{"server":"1","token":"a\u0020b"}`, "token: it has white space in it"},
		{"line break in the ref", `{"server":"1","token":"t","ref":"a\nb"}`, "ref: has a control character"},
		{"invalid UTF-8", "{\"server\":\"1\",\"token\":\"t\",\"ref\":\"\xff\"}", "ref: is not valid UTF-8"},
		{"over 64 KiB", `{"server":"1","token":"t"}` + strings.Repeat(" ", MaxLine), "row: is longer than 64 KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := `{"server":"1","token":"t"}` + "\n"
			res := read(t, "f.jsonl", good+tt.row+"\n"+good, Auto, UTF8)
			if res.file != nil || len(res.rows) != 2 {
				t.Fatalf("the other rows suffer: %v %v", res.file, res.rows)
			}
			if got, want := res.faults(), []string{"2: " + tt.want}; !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if res.bad[0].Shape != nil {
				t.Error("JSON Lines have a header")
			}
		})
	}
}

func TestDetect(t *testing.T) {
	jsonRow, csvFile := `{"server":"1","token":"t"}`, "server,token\n1,t\n"
	tests := []struct {
		name, in string
		f        Format
		want     int // good rows
	}{
		{"-", jsonRow, Auto, 1},
		{"-", "\n  " + jsonRow, Auto, 1},
		{"-", "\xef\xbb\xbf" + jsonRow, Auto, 1},
		{"-", csvFile, Auto, 1},
		{"a.CSV", csvFile, Auto, 1},
		{"rejects.csv", jsonRow, Auto, 1},
		{"a.ndjson", jsonRow, Auto, 1},
		{"a.json", csvFile, Auto, 0},
		{"a.csv", csvFile, JSONLines, 0},
		{"a.jsonl", csvFile, CSV, 1},
	}
	for _, tt := range tests {
		if res := read(t, tt.name, tt.in, tt.f, UTF8); len(res.rows) != tt.want {
			t.Errorf("%s as %v: %d rows, want %d (%v)", tt.name, tt.f, len(res.rows), tt.want, res.file)
		}
	}
}

func FuzzScanAgainstEncodingJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":"c\u0041","d":null,"e":true}`, `{"a":-1.5e3}`, `{"a":"\ud800"}`, `{"a":01}`, `{"a":1,}`, `{"a" 1}`, `{,}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var scan objectScanner
		got := map[string]string{}
		ok := scan.begin([]byte(s))
		for ok && scan.member() {
			if scan.kind == '"' {
				got[scan.key] = scan.text
			} else {
				delete(got, scan.key)
			}
		}
		if strings.Contains(scan.problem, "nested") || strings.ToValidUTF8(s, "") != s {
			return
		}
		var want map[string]any
		err := json.Unmarshal([]byte(s), &want)
		isObject := err == nil && want != nil
		if mine := ok && scan.problem == ""; mine != isObject {
			t.Fatalf("%q: encoding/json says %v, we %q", s, err, scan.problem)
		}
		if !isObject {
			return
		}
		for k, v := range want {
			if text, isText := v.(string); isText && got[k] != text {
				t.Fatalf("%q: %q is %q, want %q", s, k, got[k], text)
			}
		}
	})
}
