package rows

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

func collect(t *testing.T, rej *Rejects, name, content string) {
	t.Helper()
	for _, bad := range read(t, name, content, Auto, UTF8).bad {
		if err := rej.Add(bad); err != nil {
			t.Fatal(err)
		}
	}
	if err := rej.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRejectsCanBeReadAgain(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"f.csv", "\xef\xbb\xbfServer;Token;Ref\r\n1;t;good\r\n\r\n;t;\"a;b\"\r\n1;\"t;\xff\r\n", "Server;Token;Ref;problem\n;t;\"a;b\";server: is missing\n1;\"t;\xff;row: is not valid UTF-8\n"},
		{"f.jsonl", "{\"server\":1,\"token\":\"t\"}\n{\"server\":1}\nrubbish\n", "{\"server\":1,\"problem\":\"token: is missing\"}\n{\"problem\":\"the next line: row: is not a JSON object\"}\nrubbish\n"},
		// The problem does not go into a field that a row lacks, and a surplus field stays one.
		{"short.csv", "server,token,ref\n1\n1,t,r,x\n", "server,token,ref,problem\n1,,,\"token: is missing: the row has 1 fields, the header 3\"\n1,t,r,x,\"row: has a surplus field: it has 4, the header 3\"\n"},
		// What was rejected before says what is wrong now.
		{"again.csv", "problem,server,token\nold,,t\n", "problem,server,token\nserver: is missing,,t\n"},
		{"again.jsonl", "{ \"problem\": 7 , \"server\":\"1\"}\n{\"ref\":\"x\"}\n", "{ \"problem\": \"token: is missing\" , \"server\":\"1\"}\n{\"ref\":\"x\",\"problem\":\"server: is missing\"}\n"},
		// Excel's first line is not needed: the header tells the separator.
		{"sep.csv", "sep=;\nserver;token\n1\n", "server;token;problem\n1;;token: is missing: the row has 1 fields, the header 2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rejects")
			rej := NewRejects(path)
			collect(t, rej, tt.name, tt.in)
			got, err := os.ReadFile(path)
			if err != nil || string(got) != tt.want {
				t.Fatalf("%v: got\n%q\nwant\n%q", err, got, tt.want)
			}
			info, _ := os.Stat(path)
			if info.Mode() != 0o600 {
				t.Errorf("mode %v", info.Mode())
			}
			first := read(t, tt.name, tt.in, Auto, UTF8)
			again := read(t, path, string(got), Auto, UTF8)
			if again.file != nil || len(again.rows) != 0 || len(again.bad) != len(first.bad) || rej.Count() != len(first.bad) {
				t.Errorf("read again: %v, %d good, %d bad", again.file, len(again.rows), len(again.bad))
			}
		})
	}
}

// A row that was kept says the same when it is read again, and is recognised as a row of
// a rejects file.
func TestKeptRowsSayTheSame(t *testing.T) {
	text := rapid.StringMatching(`[ -~ñ€]{0,12}`)
	name := rapid.StringMatching(`[!-~]{0,8}`).Filter(func(s string) bool { return s != "." && s != ".." })
	rapid.Check(t, func(rt *rapid.T) {
		row := Row{
			Server: rapid.StringMatching(`[1-9][0-9]{3}`).Draw(rt, "server"), Token: rapid.StringMatching(`[!-~]{1,12}`).Draw(rt, "token"),
			Licenses: rapid.IntRange(0, 9).Draw(rt, "licenses"), Chain: name.Draw(rt, "chain"), ID: name.Draw(rt, "id"), Ref: text.Draw(rt, "ref"),
		}
		header := rapid.SampledFrom([]string{
			"", "server,token,licenses,chain,ref,id", "id;ref;token;problem;server;licenses;chain", "Servidor\ttoken\tcadena\treferencia\tid\tlicencias",
		}).Draw(rt, "header")
		file := "f.jsonl"
		if header != "" {
			file = "f.csv"
			for r := range Read(strings.NewReader(header+"\n1"+strings.Repeat(string(separator([]byte(header))), 6)), file, Auto, UTF8) {
				row.Shape = r.Shape
			}
		}
		path := filepath.Join(t.TempDir(), "rejects")
		rej := NewRejects(path)
		if err := errors.Join(rej.AddRow(row, `withheld, "behind" line 3`), rej.Close()); err != nil {
			rt.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			rt.Fatal(err)
		}
		again := read(t, file, string(got), Auto, UTF8)
		if len(again.rows) != 1 || !again.rows[0].FromRejects {
			rt.Fatalf("%v %v from\n%s", again.file, again.faults(), got)
		}
		want, have := row, again.rows[0]
		have.Line, have.Shape, have.FromRejects, have.server, want.Shape = 0, nil, false, "", nil
		if have != want {
			rt.Fatalf("got %v, want %v, from\n%s", have, want, got)
		}
	})
}

// The rows are kept in the order of their file, in whatever order they are added.
func TestRejectsKeepTheOrderOfTheFile(t *testing.T) {
	res := read(t, "f.csv", "server,token,ref\n1,t,a\nx,t,b\n1,t,c\nx,t,d\n1,t,e\n", Auto, UTF8)
	want := "server,token,ref,problem\nx,t,b,P\n1,t,c,p\nx,t,d,P\n1,t,e,p\n"
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "rejects.csv"), "/dev/null"} {
		rej := NewRejects(path)
		for _, bad := range res.bad {
			bad.Field, bad.Problem = "P", ""
			if err := rej.Add(bad); err != nil {
				t.Fatal(err)
			}
		}
		for _, i := range []int{2, 1} {
			if err := rej.AddRow(res.rows[i], "p"); err != nil {
				t.Fatal(err)
			}
		}
		if err := rej.Close(); err != nil {
			t.Fatal(err)
		}
		if path == "/dev/null" {
			continue
		}
		got, err := os.ReadFile(path)
		if text := strings.ReplaceAll(strings.ReplaceAll(string(got), "P: ", "P"), "0001", "1"); err != nil || text != want {
			t.Errorf("%v\n%s", err, text)
		}
		if info, _ := os.Stat(path); info.Mode() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("left %v", left)
		}
	}
}

// A line that can't hold the member problem still makes a rejects file, even after it was
// corrected. So does any row that still has the member.
func TestCorrectedLinesAreThoseOfARejectsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rejects.jsonl")
	collect(t, NewRejects(path), "f.jsonl", `{"server":1,"token":"t"`+"\n")
	got, _ := os.ReadFile(path)
	corrected := strings.TrimSuffix(string(got), "\n") + "}\n"
	for _, in := range []string{corrected, `{"server":1,"token":"t","problem":"p"}` + "\n" + `{"server":1,"token":"t"}`} {
		res := read(t, path, in, Auto, UTF8)
		if n := len(res.rows); n == 0 || !res.rows[n-1].FromRejects || len(res.bad) != 0 {
			t.Errorf("%q: %v %v", in, res.rows, res.faults())
		}
	}
}

// A rejects file that is given again as it is has no good row, though it is UTF-8 and every line has
// an end.
func TestUncorrectedRowsStayRejected(t *testing.T) {
	tests := []struct {
		name, in string
		e        Encoding
		want     []string
	}{
		{"cut.csv", "server,token,ref\n1,tok", UTF8, []string{"2: token: is missing"}},
		{"cut.tsv", "ref\ttoken\tserver\tid\nmine\ttok\t1", UTF8, []string{"2: token: is missing"}},
		{"cut-again.csv", "problem,server,token,ref\n,1,tok", UTF8, []string{"2: token: is missing"}},
		{"cut.jsonl", `{"server":1,"token":"to`, UTF8, []string{"2: row: is broken JSON, at byte 24"}},
		{"utf16.csv", asUTF16(t, unicode.LittleEndian, "server,token,ref\n1,t,x") + "\x00\xd8", UTF8, []string{"2: ref: " + lost}},
		{"west.csv", "server,token,ref\n1,t,x\x81\n", Windows1252, []string{"2: ref: " + lost}},
		{"west.jsonl", `{"server":1,"token":"t","ref":"x` + "\x81\"}\n" + `{"problem":"p","ref":"` + "\x81" + `","server":1,"token":"t"}`, Windows1252, []string{"1: row: " + lost, "2: ref: " + lost}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rejects")
			rej := NewRejects(path)
			for _, bad := range read(t, tt.name, tt.in, Auto, tt.e).bad {
				if err := rej.Add(bad); err != nil {
					t.Fatal(err)
				}
			}
			if err := rej.Close(); err != nil {
				t.Fatal(err)
			}
			kept, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			again := read(t, path, string(kept), Auto, UTF8)
			if len(again.rows) != 0 || !slices.Equal(again.faults(), tt.want) {
				t.Errorf("%d good rows and %q in\n%s", len(again.rows), again.faults(), kept)
			}
		})
	}
}

// lost is what is wrong with a character of a rejects file that could not be read.
const lost = "is not valid UTF-8, or has U+FFFD in it, which stands for a character that was lost"

// The column problem makes a rejects file, whatever it says.
func TestRejectsFileIsKnown(t *testing.T) {
	for in, want := range map[string]bool{
		"server,token\n1,t\n": false, "server,token,Problem\n1,t,\xff\n": true, "problem,server,token\n,1,t\n": true,
		`{"server":1,"token":"t"}`: false, `{"server":1,"token":"t","problem":null}`: true, `{"problem":"x","server":1,"token":"t"}`: true,
	} {
		if res := read(t, "-", in, Auto, UTF8); len(res.rows) != 1 || res.rows[0].FromRejects != want {
			t.Errorf("%q: %v %v", in, res.rows, res.faults())
		}
	}
}

// A file is known as a whole, before its rows are used.
func TestRejectsFileIsKnownBeforeItsRows(t *testing.T) {
	const plain = `{"server":1,"token":"t"}` + "\n"
	for in, want := range map[string]bool{
		"server,token\n1,t\n2,t\n": false, "server,token,problem\n1,t\n": true, "": false, "server\n": false,
		plain + plain: false, plain + "rubbish\n" + `{"token":"t","problem":"p"}`: true, plain + `{"problem":"p"}` + "\n" + plain: true,
	} {
		if got := FromRejects(Read(strings.NewReader(in), "f", Auto, UTF8)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestHugeRowStaysRejected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rejects.csv")
	collect(t, NewRejects(path), "f.csv", "server,token\n1,t"+strings.Repeat(" ", 3*MaxLine)+"\n")
	got, _ := os.ReadFile(path)
	if again := read(t, path, string(got), Auto, UTF8); len(again.rows) != 0 || len(again.bad) != 1 {
		t.Errorf("read again: %d good, %d bad", len(again.rows), len(again.bad))
	}
}

func TestRejectsFileIsMadeForRejectsOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rejects.csv")
	collect(t, NewRejects(path), "f.csv", "server,token\n1,t\n")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file without rejects: %v", err)
	}
	rej := NewRejects("")
	collect(t, rej, "f.csv", "server,token\n1\n")
	if rej.Count() != 1 {
		t.Errorf("Count = %d", rej.Count())
	}
}

func TestRejectsReplaceTheirOwnInput(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "ops.csv"), filepath.Join(dir, "link.csv")
	if err := os.WriteFile(path, []byte("server,token\n1,t\n2\n3,u\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rej, good := NewRejects(link), 0
	for _, err := range Read(f, path, Auto, UTF8) {
		var bad *RowError
		if errors.As(err, &bad) {
			if err := rej.Add(bad); err != nil {
				t.Fatal(err)
			}
			continue
		}
		good++
	}
	if err := errors.Join(rej.Close(), rej.Close()); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	info, _ := os.Stat(path)
	linkInfo, _ := os.Lstat(link)
	if good != 2 || string(got) != "server,token,problem\n2,,\"token: is missing: the row has 1 fields, the header 2\"\n" || info.Mode() != 0o600 || linkInfo.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("%d good rows; left %q, mode %v, link %v", good, got, info.Mode(), linkInfo.Mode())
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("something else was left: %v", entries)
	}
}

func TestRejectsToADevice(t *testing.T) {
	collect(t, NewRejects(os.DevNull), "f.csv", "server,token\n1\n")
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("the device was replaced: %v", err)
	}
}

func TestRejectsFailures(t *testing.T) {
	bad := &RowError{Raw: []byte("s3cr3t")}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "no", "such", "dir")} {
		rej := NewRejects(path)
		if err := rej.Add(bad); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", path, err)
		}
		if err := rej.Close(); err != nil {
			t.Errorf("Close after a failure: %v", err)
		}
	}
}

func TestBatchName(t *testing.T) {
	for path, want := range map[string]string{
		"dir/operations.csv":            "operations",
		"ops.2026-11.JSONL":             "ops.2026-11",
		"año nuevo.csv":                 "año-nuevo",
		"n\u0303andu\u0301.csv":         "ñandú",
		"日本?.csv":                       "日本",
		"noext":                         "noext",
		".csv":                          "batch",
		"...csv":                        "batch",
		"../...csv":                     "batch",
		"..":                            "batch",
		strings.Repeat("n", 300) + ".x": strings.Repeat("n", 64),
	} {
		if got := BatchName(path); got != want {
			t.Errorf("BatchName(%.20q) = %q, want %q", path, got, want)
		}
	}
}
