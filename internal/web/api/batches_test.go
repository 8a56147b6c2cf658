package api_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"habilita/internal/ledger"

	"habilita/internal/web/api"
)

type summary struct {
	Batch, Status                                string
	Rows, Enqueued, Duplicates, Rejected, Tokens int
	Errors                                       []struct {
		Line           int
		Field, Problem string
	}
	ErrorsOmitted int `json:"errors_omitted"`
	Advice        string
	Due           string `json:"due_at"`
}

type status struct {
	Batch                                              string
	Total, Succeeded, Failed, Skipped, Cancelled, Open int
	Settled                                            bool
	OnFailure                                          string    `json:"on_failure"`
	DueAt                                              time.Time `json:"due_at"`
	Canary                                             *struct {
		Tokens int
		State  string
	}
}

// rows is a CSV of n rows, of 7 tokens.
func rows(n int) string {
	var b strings.Builder
	b.WriteString("server,token,licenses,ref\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,token-%d,2,ref %d\n", 1+i%9, i%7, i)
	}
	return b.String()
}

func TestEnqueueBatch(t *testing.T) {
	w := newWorld(t)
	name := "año 1/2 ?&#%"
	path := "/v1/batches?" + url.Values{"batch": {name}, "on_failure": {"skip"}}.Encode()
	var s summary
	r := w.postCSV(path, rows(10)).want(t, 202, &s)
	if s.Batch != name || s.Rows != 10 || s.Enqueued != 10 || s.Tokens != 7 || s.Rejected != 0 || len(s.Errors) != 0 || r.header.Get("Location") != s.Status {
		t.Errorf("%+v %v", s, r.header)
	}
	var st status
	w.get(s.Status).want(t, 200, &st)
	if st.Batch != name || st.Total != 10 || st.Open != 10 || st.OnFailure != "skip" {
		t.Errorf("%+v", st)
	}
	// Again, with two more rows: only those are missing.
	w.postCSV(path, rows(12)).want(t, 202, &s)
	if s.Enqueued != 2 || s.Duplicates != 10 {
		t.Errorf("%+v", s)
	}
	w.postCSV(strings.Replace(path, "skip", "hold", 1), rows(1)).want(t, 409, nil).says(t, "on_failure=skip")
	lines := `{"server":"1","token":"t1","id":"a"}` + "\n" + `{"server":"1","token":"t1","id":"b","ref":"x"}`
	w.ask("POST", "/v1/batches?batch=lines&in=10m", lines, "Content-Type", "application/x-ndjson; charset=utf-8").want(t, 202, &s)
	if s.Enqueued != 2 {
		t.Errorf("%+v", s)
	}
	w.ask("POST", "/v1/batches?batch=lines&at="+later, lines, "Content-Type", "application/x-ndjson").want(t, 202, &s)
	if s.Duplicates != 2 || s.Due != later {
		t.Errorf("%+v", s)
	}
	var kept summary
	w.ask("POST", "/v1/batches?batch=lines", lines+"\n"+`{"server":"1","token":"t1","id":"c"}`, "Content-Type", "application/x-ndjson").want(t, 202, &kept)
	if kept.Enqueued != 1 || kept.Due == "" {
		t.Errorf("without its time: %+v", kept)
	}
	// A batch that was put off says until when. The time that the second request gave moved nothing.
	w.get(s.Status).want(t, 200, &st)
	if st.DueAt.IsZero() || st.DueAt.After(time.Now().AddDate(0, 1, 0)) {
		t.Errorf("due at %v", st.DueAt)
	}
	var all struct{ Items []status }
	w.get("/v1/batches").want(t, 200, &all)
	for _, b := range all.Items {
		if b.DueAt.IsZero() != (b.Batch != "lines") {
			t.Errorf("in the list: %+v", b)
		}
	}
	var past summary
	w.ask("POST", "/v1/batches?batch=past&at=1969-12-31T23:59:59Z", lines, "Content-Type", "application/x-ndjson").want(t, 202, &past)
	if past.Enqueued != 2 || past.Due != "" {
		t.Errorf("%+v", past)
	}
}

// Calls are due by the clock of Redis, like those of the command: a worker's clock may be off.
func TestPutOffByTheClockOfRedis(t *testing.T) {
	w := newWorld(t)
	now := time.Now().Add(2 * time.Hour).UTC().Truncate(time.Millisecond)
	w.redis.SetTime(now)
	w.postCSV("/v1/batches?batch=again&in=10m", rows(1)).want(t, 202, nil)
	soon, due := now.Add(10*time.Minute), "2006-01-02T15:04:05.000Z"
	for query, want := range map[string]string{
		"in=10m": soon.Format(due), "at=" + soon.Format(time.RFC3339Nano): soon.Format(due), "in=0s": "", "at=" + now.Add(-time.Hour).Format(time.RFC3339): "",
	} {
		var s summary
		if w.postCSV("/v1/batches?"+query+"&batch="+url.QueryEscape(query), rows(1)).want(t, 202, &s); s.Due != want {
			t.Errorf("%s: due at %q, want %q", query, s.Due, want)
		}
	}
	// Now is now for new calls of a batch that was put off, too.
	var s summary
	if w.postCSV("/v1/batches?in=0s&batch=again", rows(2)).want(t, 202, &s); s.Enqueued != 1 || s.Due != "" {
		t.Errorf("%+v", s)
	}
}

// notify=true asks for a webhook for each call of the batch.
func TestBatchAsksForWebhooks(t *testing.T) {
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=bad&notify=1", rows(1)).want(t, 400, nil).says(t, "notify")
	for batch, query := range map[string]string{"asked": "&notify=true", "not": "&notify=false", "usual": ""} {
		w.postCSV("/v1/batches?batch="+batch+query, rows(3)).want(t, 202, nil)
		w.ask("POST", "/v1/batches/"+batch+"/cancel", "").want(t, 200, nil)
	}
	ended, err := ledger.New(w.rdb, ledger.Options{Prefix: "habilita"}).Finished(t.Context(), 10)
	if err != nil || len(ended) != 3 {
		t.Fatalf("%+v, %v", ended, err)
	}
	for _, f := range ended {
		if f.Batch != ledger.BatchID("asked") {
			t.Errorf("%+v", f)
		}
	}
}

// A batch with canaries says how they stand.
func TestCanaryIsTold(t *testing.T) {
	w := newWorld(t)
	store, id := ledger.NewBatches(w.rdb, ""), ledger.BatchID("first")
	if _, _, err := store.Ensure(t.Context(), ledger.Batch{ID: id, Name: "first", Created: time.Now(), Canary: 3}); err != nil {
		t.Fatal(err)
	}
	var st status
	w.get("/v1/batches/first").want(t, 200, &st)
	w.postCSV("/v1/batches?batch=first", sheet("1 t a")).want(t, 409, nil).says(t, "--canary 0")
	if st.Canary == nil || st.Canary.Tokens != 3 || st.Canary.State != "waiting" {
		t.Errorf("%+v", st)
	}
}

func TestRowsThatAreRejected(t *testing.T) {
	w := newWorld(t)
	text := "server,token,licenses\n1," + theToken + ",1\nnowhere,tok,1\n2,to k,1\n3,tok,zero\n4,tok,1,5\n5,tok2,2\n"
	var s summary
	w.postCSV("/v1/batches?batch=b", text).want(t, 202, &s)
	if s.Rows != 6 || s.Enqueued != 2 || s.Rejected != 4 || len(s.Errors) != 4 || s.ErrorsOmitted != 0 {
		t.Fatalf("%+v", s)
	}
	for i, want := range []string{"server", "token", "licenses", "row"} {
		if e := s.Errors[i]; e.Line != i+3 || e.Field != want || e.Problem == "" {
			t.Errorf("%+v, want %s", e, want)
		}
	}
	many := "server,token\n" + strings.Repeat("x,y\n", api.MaxErrors+5)
	w.postCSV("/v1/batches?batch=c", many).want(t, 202, &s)
	if len(s.Errors) != api.MaxErrors || s.ErrorsOmitted != 5 || s.Rejected != api.MaxErrors+5 {
		t.Errorf("%d, %d omitted, %d", len(s.Errors), s.ErrorsOmitted, s.Rejected)
	}
}

// Bodies as other programs save them.
func TestEncodingsOfABatch(t *testing.T) {
	w := newWorld(t)
	const text = "sep=;\r\nservidor;token;referencia\r\n1;t1;Pe\xf1a\r\n;;\r\n2;t2\r\n"
	var s summary
	w.ask("POST", "/v1/batches?batch=west", text, "Content-Type", "text/csv; charset=Windows-1252").want(t, 202, &s)
	if s.Rows != 2 || s.Enqueued != 2 || s.Advice != "" {
		t.Errorf("%+v", s)
	}
	w.get("/v1/batches/west/calls?ref="+url.QueryEscape("Peña")).want(t, 200, nil).says(t, "Peña")
	w.postCSV("/v1/batches?batch=west", text+"3;t3;\xe9\r\n").want(t, 202, &s)
	if s.Rejected != 2 || len(s.Errors) != 2 || s.Errors[0].Line != 3 || s.Errors[0].Field != "ref" || !strings.Contains(s.Advice, "charset=windows-1252") {
		t.Errorf("%+v", s)
	}
	w.ask("POST", "/v1/batches?batch=wide", "\xff\xfe"+strings.ReplaceAll("server,token\n1,t\n", "", "\x00")[1:], "Content-Type", "text/csv").want(t, 202, &s)
	if s.Enqueued != 1 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
	w.postCSV("/v1/batches?batch=h", "servidor,token,a\xf1o\n").want(t, 422, nil).says(t, "charset=windows-1252")
	w.postCSV("/v1/batches?batch=..", rows(1)).want(t, 400, nil).says(t, "batch: can't be")
	w.ask("POST", "/v1/batches?batch=b", rows(1), "Content-Type", "text/csv; charset=koi8-r").want(t, 415, nil).says(t, "utf-8, windows-1252")
	// A body without rows is refused, with a header or without, in both formats.
	for _, c := range [][2]string{{"", "text/csv"}, {"server,token\n", "text/csv"}, {"", "application/x-ndjson"}} {
		w.ask("POST", "/v1/batches?batch=none", c[0], "Content-Type", c[1]).want(t, 422, nil).says(t, "has no rows")
	}
	w.get("/v1/batches/none").want(t, 404, nil)
	lines := `{"server":"1","token":"t","id":"a","id":"b"}` + "\n" + `{"server":"1","token":"t","id":1e3}` + "\n"
	w.ask("POST", "/v1/batches?batch=lines", lines, "Content-Type", "application/x-ndjson").want(t, 202, &s)
	if s.Rejected != 2 || s.Errors[0].Field != "row" || s.Errors[1].Field != "id" {
		t.Errorf("%+v", s)
	}
}

func TestBodiesThatAreNoBatch(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{
		"server\n1\n":              "token",
		"a,b\n":                    "",
		"1," + theToken + "\n":     "",
		"server,token,server\n1,2": "",
	} {
		r := w.postCSV("/v1/batches?batch=b", text).want(t, 422, nil)
		r.says(t, want)
	}
	w.ask("POST", "/v1/batches?batch=b", rows(1), "Content-Type", "application/json").want(t, 415, nil).says(t, "text/csv")
	w.ask("POST", "/v1/batches?batch=b", rows(1)).want(t, 415, nil)
	w.ask("POST", "/v1/batches?batch=b", rows(1), "Content-Type", "text/csv", "Content-Encoding", "br").want(t, 415, nil)
	for _, query := range []string{"", "?batch=", "?batch=a&batch=b", "?batch=a&on_failure=x", "?batch=a&at=tomorrow", "?batch=a&in=-5m", "?batch=a&in=1m&at=2030-01-01T00:00:00Z",
		"?batch=a&later=1", "?batch=%ff", "?batch=a%0ab", "?batch=" + strings.Repeat("x", 257), "?batch=a&at=" + tooLate, "?batch=a&in=87800h", "?%zz"} {
		w.postCSV("/v1/batches"+query, rows(1)).want(t, 400, nil)
	}
}

// breaks is a body that breaks off in the middle of a row.
type breaks struct{ io.Reader }

func (b breaks) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		return n, io.ErrClosedPipe
	}
	return n, err
}

// What was acknowledged stays, half a row is not taken, and sending all again adds the rest.
func TestConnectionThatBreaks(t *testing.T) {
	w := newWorld(t)
	whole := rows(9000)
	cut := strings.TrimSuffix(whole[:strings.Index(whole, "ref 8999\n")+4], "\n") // token and "ref " of the last row
	r, err := http.NewRequestWithContext(context.Background(), "POST", w.url+"/v1/batches?batch=b", breaks{strings.NewReader(cut)})
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+anasKey)
	r.Header.Set("Content-Type", "text/csv")
	if res, err := http.DefaultClient.Do(r); err == nil {
		res.Body.Close()
		t.Fatalf("it was answered: %d", res.StatusCode)
	}
	var s summary
	w.postCSV("/v1/batches?batch=b", whole).want(t, 202, &s)
	if s.Enqueued+s.Duplicates != 9000 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
	var st status
	w.get("/v1/batches/b").want(t, 200, &st)
	if st.Total != 9000 {
		t.Errorf("%+v", st)
	}
	var p struct{ Items []call }
	w.get("/v1/batches/b/calls?ref=ref%208999").want(t, 200, &p)
	for _, c := range p.Items {
		if c.Ref == "ref " {
			t.Errorf("half a row is a call: %+v", c)
		}
	}
}

func TestPagesOfCalls(t *testing.T) {
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=b", rows(250)).want(t, 202, nil)
	seen := map[string]bool{}
	pages := 0
	for cursor := ""; ; pages++ {
		path := "/v1/batches/b/calls?limit=20"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		var p struct {
			Items []call
			Next  *string
		}
		w.get(path).want(t, 200, &p)
		if len(p.Items) > 20 {
			t.Errorf("%d on a page", len(p.Items))
		}
		for _, c := range p.Items {
			seen[c.ID] = true
		}
		if p.Next == nil {
			break
		}
		cursor = *p.Next
	}
	if len(seen) != 250 || pages < 12 {
		t.Errorf("%d calls on %d pages", len(seen), pages)
	}
	var p struct{ Items []call }
	w.get("/v1/batches/b/calls?state=queued&ref=REF%20249").want(t, 200, &p)
	if len(p.Items) != 1 {
		t.Errorf("%+v", p)
	}
	w.get("/v1/batches/none/calls").want(t, 404, nil)
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "limit=", "cursor=", "cursor=x", "state=gone", "format=csv", "stat=held", "limit=1&limit=2"} {
		w.get("/v1/batches/b/calls?"+q).want(t, 400, nil)
	}
	for _, q := range []string{"state=gone", "limit=5", "cursor=x", "format=csv"} {
		w.get("/v1/batches/b/calls.csv?"+q).want(t, 400, nil)
	}
}

func TestReport(t *testing.T) {
	w := newWorld(t)
	w.postCSV("/v1/batches?batch=b", rows(30)).want(t, 202, nil)
	r := w.get("/v1/batches/b/calls.csv", "Accept", "application/json").want(t, 200, nil)
	records, err := csv.NewReader(strings.NewReader(r.body)).ReadAll()
	if err != nil || len(records) != 31 || records[0][0] != "id" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d records, %v, %v", len(records), err, r.header)
	}
	r = w.get("/v1/batches/b/calls.csv?ref=ref%2029&state=queued").want(t, 200, nil)
	if strings.Count(r.body, "\n") != 2 {
		t.Errorf("%s", r.body)
	}
	const evil = "<b>\"é'&/"
	w.postCSV("/v1/batches?batch="+url.QueryEscape(evil), "server,token,ref,id\n1,"+theToken+","+"<b>"+",=1+1\n").want(t, 202, nil)
	r = w.get("/v1/batches/"+url.PathEscape(evil)+"/calls.csv").want(t, 200, nil)
	records, err = csv.NewReader(strings.NewReader(r.body)).ReadAll()
	if err != nil || len(records) != 2 || records[1][0] != "'=1+1" || records[1][3] != "<b>" {
		t.Errorf("%q %v", records, err)
	}
	kind, of, err := mime.ParseMediaType(r.header.Get("Content-Disposition"))
	if kind != "attachment" || of["filename"] != evil+".csv" || err != nil {
		t.Errorf("%q %q %v", kind, of, err)
	}
	w.get("/v1/batches/none/calls.csv").want(t, 404, nil)
	w.ask("HEAD", "/v1/batches/b/calls.csv", "").want(t, 200, nil)
}

func TestListOfBatches(t *testing.T) {
	w := newWorld(t)
	var p struct {
		Items []status
		Next  *string
	}
	w.get("/v1/batches").want(t, 200, &p)
	if len(p.Items) != 0 || p.Next != nil {
		t.Errorf("%+v", p)
	}
	for i := range 3 {
		w.postCSV(fmt.Sprintf("/v1/batches?batch=b%d", i), rows(i+1)).want(t, 202, nil)
	}
	w.get("/v1/batches?limit=2").want(t, 200, &p)
	if len(p.Items) != 2 || p.Next == nil {
		t.Fatalf("%+v", p)
	}
	w.get("/v1/chains?cursor="+*p.Next).want(t, 400, nil).says(t, "is not of this list")
	w.get("/v1/batches?limit=2&cursor="+*p.Next).want(t, 200, &p)
	if len(p.Items) != 1 || p.Next != nil {
		t.Errorf("%+v", p)
	}
	w.get("/v1/batches/none").want(t, 404, nil)
}
