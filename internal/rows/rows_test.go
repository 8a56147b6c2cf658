package rows

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeat gives head, then n times row, without holding it.
type repeat struct {
	row  string
	n    int
	rest []byte
}

func (r *repeat) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.n == 0 {
			return 0, io.EOF
		}
		r.n--
		r.rest = []byte(r.row)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestHugeLineIsOneRejectInConstantMemory(t *testing.T) {
	huge := &repeat{row: strings.Repeat("x", 1<<16), n: 160} // 10 MiB
	r := io.MultiReader(strings.NewReader("server,token\n1,a\n"), huge, strings.NewReader("\n2,b\n"))
	before, most := heap(), uint64(0)
	var good, bad int
	for _, err := range Read(r, "f.csv", Auto, UTF8) {
		most = max(most, heap())
		if err == nil {
			good++
			continue
		}
		bad++
		var re *RowError
		if !errors.As(err, &re) || re.Line != 3 || len(re.Raw) != MaxLine+1 || re.Problem != "is longer than 64 KiB" {
			t.Errorf("got %v", err)
		}
	}
	if good != 2 || bad != 1 {
		t.Errorf("%d good rows, %d bad", good, bad)
	}
	if most > before+1<<20 {
		t.Errorf("the heap grew by %d KiB", (most-before)>>10)
	}
}

func TestLineOfExactly64KiB(t *testing.T) {
	for _, ending := range []string{"", "\n", "\r\n"} {
		for extra := range 3 {
			row := `{"server":"1","token":"t"}`
			row += strings.Repeat(" ", MaxLine-len(row)+extra) + ending
			res := read(t, "f.jsonl", row, Auto, UTF8)
			if good := len(res.rows) == 1; good != (extra == 0) || len(res.rows)+len(res.bad) != 1 {
				t.Errorf("64 KiB and %d bytes, ending %q: %d rows, %v", extra, ending, len(res.rows), res.faults())
			}
		}
	}
}

func TestBigFileInConstantMemory(t *testing.T) {
	const n = 200_000
	r := io.MultiReader(strings.NewReader("server,token,licenses,chain,ref,id\n"),
		&repeat{row: "0001,tok-0123456789-abcdefghijklmnopqrstuvwxyz-XYZ,5,main,order 66,i1\nbad row\n", n: n})
	before, most, rows := heap(), uint64(0), 0
	for range Read(r, "f.csv", Auto, UTF8) {
		if rows++; rows%50_000 == 0 {
			most = max(most, heap())
		}
	}
	if rows != 2*n {
		t.Errorf("%d rows, want %d", rows, 2*n)
	}
	if most > before+1<<20 {
		t.Errorf("the heap grew by %d KiB", (most-before)>>10)
	}
}

func fuzzRows(t *testing.T, content []byte, f Format) {
	rows, bad, ended := 0, 0, false
	last := 0
	for row, err := range Read(bytes.NewReader(content), "-", f, UTF8) {
		var re *RowError
		switch {
		case err == nil:
			rows++
			if row.Server == "" || row.Token == "" || row.Licenses < 0 || row.Licenses > MaxLicenses {
				t.Fatalf("an impossible row: %v", row)
			}
		case errors.As(err, &re):
			bad++
			if re.Field == "" || re.Problem == "" || strings.ContainsAny(re.Error(), "\r\n") {
				t.Fatalf("a poor error: %q", re.Error())
			}
		default:
			ended = true
		}
		if !ended {
			if row.Line <= last {
				t.Fatalf("line %d after line %d", row.Line, last)
			}
			last = row.Line
		}
	}
	if ended || bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return
	}
	lines, perhaps := 0, 0 // lines that are none to some: separators alone
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))) {
		switch {
		case blank(line):
		case f == CSV && blank(bytes.Trim(line, ",;\t\" \r\n\v\f\u0085\u00a0")), f == CSV && bytes.HasPrefix(bytes.ToLower(line), []byte("sep=")):
			perhaps++
		default:
			lines++
		}
	}
	if f == CSV && lines > 0 {
		lines-- // the header
	}
	if n := rows + bad; n < lines || n > lines+perhaps {
		t.Fatalf("%d rows and %d rejects of %d to %d lines", rows, bad, lines, lines+perhaps)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("server,token\n1,t\n\n\"2,u\n3,v\n"))
	f.Add([]byte("\xef\xbb\xbfid;token;server\r\n;t;1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzRows(t, b, CSV) })
}

func FuzzJSONLines(f *testing.F) {
	f.Add([]byte("{\"server\":1,\"token\":\"t\"}\nx\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzRows(t, b, JSONLines) })
}

func BenchmarkRows(b *testing.B) {
	type file struct{ name, format, header, row string }
	files := []file{
		{"csv", "f.csv", "server,token,licenses,chain,ref,id\n", "0001,tok-%026d-abcdefghij-XYZ,5,main,order 66,i1\n"},
		{"csv quoted", "f.csv", "server,token,licenses,chain,ref,id\n", "\"0001\",\"tok-%026d-abcdefghij-XYZ\",5,main,\"order \"\"66\"\"\",i1\n"},
		{"jsonl", "f.jsonl", "", "{\"server\":\"0001\",\"token\":\"tok-%026d-abcdefghij-XYZ\",\"licenses\":5,\"chain\":\"main\",\"ref\":\"order 66\",\"id\":\"i1\"}\n"},
	}
	const n = 10_000
	for _, f := range files {
		var text strings.Builder
		text.WriteString(f.header)
		for i := range n {
			fmt.Fprintf(&text, f.row, i/10)
		}
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(text.Len()))
			rows := 0
			for b.Loop() {
				for _, err := range Read(strings.NewReader(text.String()), f.format, Auto, UTF8) {
					if err != nil {
						b.Fatal(err)
					}
					rows++
				}
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
		})
	}
}

// A file without rows is refused in the same words, with a header or without, in both formats.
func TestFileWithoutRows(t *testing.T) {
	for _, name := range []string{"f.csv", "f.jsonl"} {
		for _, text := range []string{"", "\n\n", "\xef\xbb\xbf", "\r\n"} {
			res := read(t, name, text, Auto, UTF8)
			if res.file == nil || res.file.Error() != name+": has no rows" {
				t.Errorf("%s, %q: %v", name, text, res.file)
			}
		}
	}
	for _, text := range []string{"server,token\n", "sep=;\nserver;token\n", "server,token\n,\n\n"} {
		if res := read(t, "f.csv", text, Auto, UTF8); res.file == nil || res.file.Error() != "f.csv: has no rows" {
			t.Errorf("%q: %v", text, res.file)
		}
	}
}
