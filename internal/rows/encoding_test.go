package rows

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func asUTF16(t *testing.T, order unicode.Endianness, s string) string {
	t.Helper()
	out, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// One file, as different programs save it.
func TestEncodings(t *testing.T) {
	const content = "servidor;token;referencia\r\n1;tok;Peña ñandú €\r\n"
	const want = "2 1 tok 0 \"\" \"Peña ñandú €\" \"\"\n"
	const line = `{"server":1,"token":"tok","ref":"Peña ñandú €"}` + "\n"
	western := func(s string) string {
		out, err := charmap.Windows1252.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	tests := []struct {
		name, in string
		encoding Encoding
	}{
		{"UTF-8", content, UTF8},
		{"UTF-8 with a mark", "\xef\xbb\xbf" + content, UTF8},
		{"UTF-16, little endian", asUTF16(t, unicode.LittleEndian, content), UTF8},
		{"UTF-16, big endian", asUTF16(t, unicode.BigEndian, content), UTF8},
		{"Excel's Unicode text", asUTF16(t, unicode.LittleEndian, strings.ReplaceAll(content, ";", "\t")), UTF8},
		{"Windows-1252", western(content), Windows1252},
		{"a mark wins", "\xef\xbb\xbf" + content, Windows1252},
		{"the mark of UTF-16 wins", asUTF16(t, unicode.LittleEndian, content), Windows1252},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, "f.csv", tt.in, Auto, tt.encoding)
			if res.file != nil || len(res.bad) > 0 || res.text() != want {
				t.Errorf("%v %v\n%s", res.file, res.faults(), res.text())
			}
		})
	}
	for _, in := range []string{asUTF16(t, unicode.BigEndian, line), western(line)} {
		res := read(t, "-", in, Auto, Windows1252)
		if res.file != nil || len(res.bad) > 0 || !strings.Contains(res.text(), "Peña ñandú €") {
			t.Errorf("JSON Lines: %v %v %s", res.file, res.faults(), res.text())
		}
	}
}

// What can't be read is reported with its line and field, and marked, so that the advice can
// be given once.
func TestBytesThatAreNoText(t *testing.T) {
	const head = "server,token,ref\n"
	lone := asUTF16(t, unicode.LittleEndian, head+"1,a,x") + "\x00\xd8" + strings.TrimPrefix(asUTF16(t, unicode.LittleEndian, "\n2,b,y\n"), "\xff\xfe")
	tests := []struct {
		name, in string
		rows     int
		want     []string
	}{
		{"UTF-8", head + "1,a,caf\xe9\n2,b,fine\n3,\xff,x\n", 1, []string{"2: ref: is not valid UTF-8", "4: token: is not valid UTF-8"}},
		{"half a pair of UTF-16", lone, 1, []string{"2: ref: is not valid UTF-16"}},
		{"half a character at the end", asUTF16(t, unicode.LittleEndian, head+"1,a,x") + "\x41", 0, []string{"2: ref: is not valid UTF-16"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, "f.csv", tt.in, Auto, UTF8)
			if len(res.rows) != tt.rows || !slices.Equal(res.faults(), tt.want) {
				t.Fatalf("%d rows, %q", len(res.rows), res.faults())
			}
			for _, bad := range res.bad {
				if !bad.BadText {
					t.Errorf("not marked: %v", bad)
				}
			}
		})
	}
	res := read(t, "f.csv", "server,token,referenci\xe9\n", Auto, UTF8)
	if res.file == nil || !res.file.BadText {
		t.Errorf("header: %v", res.file)
	}
	// A U+FFFD in a UTF-8 file is a character like any other, and other faults are not marked.
	res = read(t, "f.csv", head+"1,a,\ufffd\n,b,x\n", Auto, UTF8)
	if len(res.rows) != 1 || len(res.bad) != 1 || res.bad[0].BadText {
		t.Errorf("%v %v", res.rows, res.bad)
	}
	// In Windows-1252 some bytes stand for no character.
	res = read(t, "f.csv", head+"1,a,\x81\n", Auto, Windows1252)
	if got := res.faults(); !slices.Equal(got, []string{"2: ref: is not valid Windows-1252"}) {
		t.Errorf("%q", got)
	}
}

// A last line without a line end may be what is left of a longer one.
func TestFileThatMayBeCut(t *testing.T) {
	const cut = ": is missing in the file's last line, which has no line end: the file may be cut off here (if it is whole, end the line)"
	tests := []struct {
		name, in string
		rows     int
		want     []string
	}{
		{"whole", all + "1,t,,,,", 1, nil},
		{"lacks the id", all + "1,t,5,c,r", 0, []string{"2: id" + cut}},
		{"lacks all that is optional", all + "1,t\n2,t", 1, []string{"3: licenses" + cut}},
		{"ends with CR alone", all + "1,t\r", 0, []string{"2: licenses" + cut}},
		{"lacks the token", all + "1", 0, []string{"2: token: is missing: the row has 1 fields, the header 6"}},
		{"ended", all + "1,t\n", 1, nil},
		{"required columns last", "ref,id,server,token\nx\n", 0, []string{"2: server: is missing: the row has 1 fields, the header 4"}},
		{"blank", all + "1,t\n,,", 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, "f.csv", tt.in, Auto, UTF8)
			if res.file != nil || len(res.rows) != tt.rows || !slices.Equal(res.faults(), tt.want) {
				t.Errorf("%v, %d rows, %q", res.file, len(res.rows), res.faults())
			}
		})
	}
}

func TestParseEncoding(t *testing.T) {
	for name, want := range map[string]Encoding{"": UTF8, "UTF-8": UTF8, "utf-16": UTF8, "Windows-1252": Windows1252, "ISO-8859-1": Windows1252, "latin1": Windows1252} {
		if got, err := ParseEncoding(name); got != want || err != nil {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := ParseEncoding("koi8-r"); !errors.Is(err, ErrEncoding) {
		t.Errorf("koi8-r: %v", err)
	}
}
