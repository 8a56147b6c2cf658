package api_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"habilita/internal/web/api"
	"habilita/internal/web/api/apitest"
)

func TestCallsThatAreNone(t *testing.T) {
	w := newWorld(t)
	with := func(field string) string { return `{"server":"42","token":"` + theToken + `",` + field + `}` }
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"nothing":                {"", 400, "not a JSON object"},
		"white space":            {"  \n", 400, "not a JSON object"},
		"null":                   {"null", 400, "not a JSON object"},
		"array":                  {"[]", 400, "not a JSON object"},
		"string":                 {`"x"`, 400, "not a JSON object"},
		"empty object":           {"{}", 422, "server"},
		"no token":               {`{"server":"42"}`, 422, "token"},
		"broken off":             {`{"server":"42","token":"` + theToken, 400, ""},
		"broken off in a name":   {`{"server":"42","tok`, 400, ""},
		"no comma":               {`{"server":"42" "token":"t"}`, 400, "byte"},
		"comma at the end":       {`{"server":"42","token":"t",}`, 400, ""},
		"something behind":       {with(`"ref":"x"`) + "{}", 400, "byte"},
		"something else behind":  {with(`"ref":"x"`) + theToken, 400, ""},
		"token as a name":        {`{"` + theToken + `":1}`, 422, "not a field"},
		"unknown field":          {with(`"retries":3`), 422, "retries"},
		"other case":             {with(`"Ref":"x"`), 422, "not a field"},
		"twice":                  {with(`"token":"` + theToken + `"`), 422, "twice"},
		"twice, null":            {with(`"ref":"a","ref":"b"`), 422, "twice"},
		"number as server":       {`{"server":42,"token":"` + theToken + `"}`, 422, "want a string"},
		"null as token":          {`{"server":"42","token":null}`, 422, "want a string"},
		"null as id":             {with(`"id":null`), 422, "want a string"},
		"null as licences":       {with(`"licenses":null`), 422, "want a whole number"},
		"null as time":           {with(`"at":null`), 422, "want a time"},
		"object as token":        {`{"server":"42","token":{"x":"` + theToken + `"}}`, 422, "want a string"},
		"array as ref":           {with(`"ref":["x"]`), 422, "want a string"},
		"token as server":        {`{"server":"` + theToken + `","token":"t"}`, 422, "server"},
		"white space in token":   {`{"server":"42","token":" ` + theToken + `"}`, 422, "token"},
		"control in token":       {`{"server":"42","token":"` + theToken + `\u0000"}`, 422, "token"},
		"half a surrogate":       {`{"server":"42","token":"` + theToken + `\ud800"}`, 422, "token"},
		"half of one in a ref":   {with(`"ref":"a\udc00b"`), 422, "ref: has half a surrogate pair"},
		"half of one in a batch": {with(`"batch":"\ud83d\ud83d"`), 422, "batch: has half a surrogate pair"},
		"empty token":            {`{"server":"42","token":""}`, 422, "token"},
		"no licences":            {with(`"licenses":0`), 422, "licenses"},
		"less than no licences":  {with(`"licenses":-1`), 422, "licenses"},
		"half a licence":         {with(`"licenses":1.5`), 422, "licenses"},
		"licences as text":       {with(`"licenses":"5"`), 422, "licenses"},
		"very many licences":     {with(`"licenses":1000001`), 422, "licenses"},
		"even more licences":     {with(`"licenses":99999999999999999999`), 422, "licenses"},
		"as many as there are":   {with(`"licenses":1e999`), 422, "licenses"},
		"long ref":               {with(`"ref":"` + strings.Repeat("ñ", 257) + `"`), 422, "256 characters"},
		"long batch":             {with(`"batch":"` + strings.Repeat("😀", 257) + `"`), 422, "256 characters"},
		"line in ref":            {with(`"ref":"a\nb"`), 422, "ref"},
		"space in id":            {with(`"id":"a b"`), 422, "id"},
		"empty id":               {with(`"id":""`), 422, "id"},
		"long id":                {with(`"id":"` + strings.Repeat("x", 129) + `"`), 422, "id"},
		"other letters in chain": {with(`"chain":"ñ"`), 422, "chain"},
		"empty batch":            {with(`"batch":""`), 422, "batch"},
		"one dot as batch":       {with(`"batch":"."`), 422, "batch: can't be"},
		"two dots as batch":      {with(`"batch":".."`), 422, "batch: can't be"},
		"an option as batch":     {with(`"batch":"-b"`), 422, `batch: begins with \"-\"`},
		"one dot as id":          {with(`"id":"."`), 422, "id: can't be"},
		"two dots as id":         {with(`"id":".."`), 422, "id: can't be"},
		"control in batch":       {with(`"batch":"a\u0007"`), 422, "batch"},
		"no time":                {with(`"at":"tomorrow"`), 422, "at"},
		"time as number":         {with(`"at":1764000000`), 422, "at"},
		"a time too far ahead":   {with(`"at":"` + tooLate + `"`), 422, "at"},
		"a time of another age":  {with(`"at":"9999-01-01T00:00:00Z"`), 422, "at"},
		"bad UTF-8":              {with("\"ref\":\"\xff\xfe\""), 400, "UTF-8"},
		"UTF-16":                 {"\xff\xfe{\x00}\x00", 400, "UTF-8"},
		"byte order mark":        {"\xef\xbb\xbf" + with(`"ref":"x"`), 400, "not a JSON object"},
		"deep":                   {with(`"ref":` + strings.Repeat("[", 20_000)), 400, "byte"},
		"large":                  {with(`"ref":"` + strings.Repeat("x", api.MaxCall) + `"`), 413, "at most"},
		"zero byte behind":       {with(`"ref":"x"`) + "\x00", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.postJSON("/v1/calls", c.body).want(t, c.status, nil).says(t, c.says)
		})
	}
	for _, media := range []string{"", "text/plain", "application/xml", "application/json; charset=latin1", "application/x-www-form-urlencoded", ";", "application/json, text/csv"} {
		w.ask("POST", "/v1/calls", with(`"ref":"x"`), "Content-Type", media).want(t, 415, nil)
	}
	w.postJSON("/v1/calls", with(`"ref":"x"`), "Content-Encoding", "gzip, gzip").want(t, 415, nil)
	w.postJSON("/v1/calls?x=1", with(`"ref":"x"`)).want(t, 400, nil)
	for _, k := range w.redis.Keys() {
		if strings.Contains(k, ":calls:") {
			t.Errorf("something was enqueued: %s", k)
		}
	}
}

// If a body does not come, the API stops waiting, and answers.
func TestBodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pr, pw := io.Pipe()
	defer pw.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.url+"/v1/calls", pr)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 100
	r.Header = http.Header{"Authorization": {"Bearer " + anasKey}, "Content-Type": {"application/json"}}
	go io.WriteString(pw, `{"server":`) //nolint:errcheck // the answer tells
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != 408 {
		t.Errorf("%d %s", res.StatusCode, text)
	}
}

// What came before a body's limit is enqueued, and the answer says so.
func TestBatchThatIsTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.postCSV("/v1/batches?batch=b", rows(80_000)).want(t, 413, nil)
	r.says(t, "rows before it are enqueued, and sending all rows again adds")
	// The advice on how to go on keeps the time.
	w.postCSV("/v1/batches?batch=later&in=10m", rows(80_000)).want(t, 413, nil).says(t, "sending all rows again with at=20")
	var st status
	if w.get("/v1/batches/b").want(t, 200, &st); st.Total == 0 || st.Total >= 80_000 {
		t.Errorf("%+v", st)
	}
}

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/v1/", "/v1/x", "/v1/calls/", "/v1/batches/b/x", "/v1/batches/b/calls/x", "/v1/Calls", "/v1/chains/a/b/c", "/v1/tokens/x", "/v1/batches//calls", "/v1//batches", "/v1/batches/%2E%2E/calls"} {
		w.get(path).want(t, 404, nil)
	}
	for path, c := range map[string]struct{ method, allow string }{
		"/v1/calls":           {"GET", "POST"},
		"/v1/calls/x":         {"DELETE", "GET, HEAD"},
		"/v1/batches":         {"PUT", "GET, HEAD, POST"},
		"/v1/batches/b":       {"DELETE", "GET, HEAD"},
		"/v1/batches/b/retry": {"GET", "POST"},
		"/v1/chains":          {"POST", "GET, HEAD"},
		"/v1/openapi.json":    {"BREW", "GET, HEAD"},
	} {
		r := w.ask(c.method, path, "").want(t, 405, nil)
		if got := r.header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow: %s", c.method, path, got)
		}
	}
	w.ask("HEAD", "/v1/batches", "").want(t, 200, nil)
}

func TestRedisThatIsAwayOrFull(t *testing.T) {
	w := newWorld(t)
	id := w.hold()
	w.redis.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	for _, r := range []reply{w.postJSON("/v1/calls", body("")), w.postCSV("/v1/batches?batch=b", rows(3))} {
		if r.want(t, 507, nil); r.header.Get("Retry-After") == "" {
			t.Errorf("%v", r.header)
		}
	}
	w.redis.SetError("LOADING Redis is loading the dataset in memory")
	w.get("/v1/batches").want(t, 503, nil).says(t, "wait until it is done")
	w.redis.SetError("")
	w.redis.Close()
	for _, path := range []string{"/v1/schedules", "/v1/schedules/s", "/v1/batches", "/v1/batches/b", "/v1/batches/b/calls", "/v1/batches/b/calls.csv", "/v1/chains", "/v1/chains/" + id, "/v1/tokens",
		"/v1/actions", "/v1/workers", "/v1/calls/x"} {
		r := w.get(path).want(t, 503, nil)
		if r.header.Get("Retry-After") == "" || strings.Contains(r.body, "had an effect") {
			t.Errorf("%s: %v %s", path, r.header, r.body)
		}
	}
	for _, path := range []string{"/v1/chains/" + id + "/retry", "/v1/batches/b/cancel"} {
		w.ask("POST", path, "").want(t, 503, nil).says(t, "not known whether the request had an effect")
	}
	w.postJSON("/v1/calls", body("")).want(t, 503, nil).says(t, "not known whether the request had an effect")
	w.postJSON("/v1/calls", body(""), "Idempotency-Key", "k").want(t, 503, nil)
	w.postCSV("/v1/batches?batch=b", rows(3)).want(t, 503, nil)
}

func TestMutatedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const seed = 20261124 // the faults' harness draws others, and more
	r := rand.New(rand.NewPCG(seed, 1))
	statuses := map[int]int{}
	for i := range 800 {
		request := apitest.Request(r, i, anasKey)
		o := apitest.Send(strings.TrimPrefix(w.url, "http://"), request, time.Minute)
		statuses[o.Status]++
		if o.Fault != "" {
			t.Errorf("seed %d, request %d: %s\n%q", seed, i, o.Fault, request)
		}
	}
	if statuses[202] < 20 || statuses[200] < 20 || statuses[400] < 50 || statuses[422] < 20 {
		t.Errorf("these requests try little: %v", statuses)
	}
	if strings.Contains(w.log.String(), apitest.Token) {
		t.Error("the log has a token")
	}
}

func FuzzCallBody(f *testing.F) {
	w := newWorld(f)
	for _, more := range []string{"", `,"id":"x"`, `,"at":"` + later + `"`, `,"at":"1969-01-01T00:00:00Z"`, `,"licenses":5`, `,"batch":"b"`, `,"id":"\ud800"`} {
		f.Add(body(more), "")
		f.Add(body(more), "key")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", w.url+"/v1/calls", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + anasKey}, "Content-Type": {"application/json"}}
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return // a key that can't be a header
		}
		defer res.Body.Close()
		if res.StatusCode >= 500 {
			t.Errorf("%d for %q, %q", res.StatusCode, text, key)
		}
	})
}
