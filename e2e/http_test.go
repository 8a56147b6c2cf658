package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/web/guard"
)

// apiKeys makes keys for the lab's workers: one that may write, one that may only read.
func (l *Lab) apiKeys() (write, read string) {
	l.TB.Helper()
	var all []string
	for name, readOnly := range map[string]bool{"shop": false, "board": true} {
		key, err := guard.GenerateKey(name, readOnly)
		if err != nil {
			l.TB.Fatal(err)
		}
		all = append(all, key)
		if secret := strings.SplitN(key, ":", 3)[2]; readOnly {
			read = secret
		} else {
			write = secret
		}
	}
	file := l.File("api.keys", strings.Join(all, ",")+"\n")
	l.Set("HABILITA_API_KEYS_FILE", file)
	return write, read
}

// ask sends a request to the worker's API.
func (w *Worker) ask(method, path, key, media, body string) (int, http.Header, string) {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+w.Addr()+path, strings.NewReader(body))
	if err != nil {
		w.tb.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.lab.pages = append(w.lab.pages, string(text))
	return res.StatusCode, res.Header, string(text)
}

// Keys, enqueueing over HTTP, the vendor's account of it, and a shutdown with an upload in
// flight.
func TestHTTPAPI(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=5ms", "--bad-token=bad-")
	write, read := l.apiKeys()
	w := l.Workers(1)[0]

	for _, c := range []struct {
		method, path, key string
		status            int
	}{
		{"GET", "/healthz", "", 200}, {"GET", "/readyz", "", 200}, {"GET", "/metrics", "", 200},
		{"GET", "/v1/batches", "", 401}, {"GET", "/", "", 401}, {"GET", "/v1/batches", "wrong-0123456789abcdefghij", 401},
		{"GET", "/v1/batches", read, 200}, {"POST", "/v1/calls", read, 403}, {"DELETE", "/v1/schedules/x", read, 403},
		{"GET", "/v1/openapi.json", read, 200}, {"GET", "/v1/nothing", write, 404}, {"PUT", "/v1/calls", write, 405},
	} {
		if status, _, body := w.ask(c.method, c.path, c.key, "", ""); status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}

	const token = "secret-token-of-the-shop"
	status, _, body := w.ask("POST", "/v1/calls", write, "application/json", `{"server":"42","token":"`+token+`","id":"order-1"}`)
	if status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	var receipt struct{ Call string }
	if err := json.Unmarshal([]byte(body), &receipt); err != nil {
		t.Fatal(err)
	}
	rows := "server,token,id\n42," + token + ",b1\n43,bad-" + token + ",b2\nnowhere,x,b3\n"
	if status, _, body = w.ask("POST", "/v1/batches?batch=http", write, "text/csv", rows); status != 202 || !strings.Contains(body, `"rejected":1`) || !strings.Contains(body, `"line":4`) {
		t.Fatalf("%d %s", status, body)
	}
	l.AwaitSettled("http", Patience)
	l.Await("the call of the order", Patience, func(context.Context) (bool, string) {
		_, _, body := w.ask("GET", receipt.Call, read, "", "")
		return strings.Contains(body, `"succeeded"`), body
	})
	done := map[string]bool{}
	for _, r := range l.Vendor.Account().Records {
		if r.Success {
			done[r.Call] = true
		}
	}
	if !done["order-1"] || !done["b1"] || done["b2"] {
		t.Errorf("the vendor did %v", done)
	}

	// A program sees the held chain and skips it, and the audit log says who did it.
	_, _, body = w.ask("GET", "/v1/chains?state=held", read, "", "")
	if strings.Count(body, `"state":"held"`) != 1 {
		t.Errorf("held: %s", body)
	}
	if status, _, body = w.ask("POST", "/v1/batches/http/skip", write, "", ""); status != 200 || !strings.Contains(body, `"count":1`) {
		t.Errorf("%d %s", status, body)
	}
	if _, _, body = w.ask("GET", "/v1/actions", read, "", ""); !strings.Contains(body, `"who":"shop"`) || !strings.Contains(body, `"target":"batch http"`) {
		t.Errorf("actions: %s", body)
	}
	if st := l.Status("http"); st.Skipped != 1 || st.Succeeded != 1 {
		t.Errorf("%+v", st)
	}

	// An upload in flight at SIGTERM still ends, and gets its answer.
	up, answer := l.upload(w, write, "late")
	io.WriteString(up, "server,token,id\n42,"+token+",u1\n") //nolint:errcheck // the answer tells
	w.Term()
	l.Await("the worker to stop", Patience, func(context.Context) (bool, string) {
		status, body := w.Get("/readyz")
		return status != 200, body
	})
	io.WriteString(up, "42,"+token+",u2\n") //nolint:errcheck
	_ = up.Close()
	if got := <-answer; !strings.Contains(got, `"enqueued":2`) {
		t.Errorf("the upload: %s", got)
	}
	if code := w.Wait(Patience); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.Workers(1)
	if st := l.AwaitSettled("late", Patience); st.Succeeded != 2 {
		t.Errorf("%+v", st)
	}
	for _, secret := range []string{token, write, read} {
		if found := l.Leaks(secret, filepath.Join(l.Dir, "api.keys")); len(found) > 0 {
			t.Error(found)
		}
	}
}

// upload begins a batch over HTTP whose body the test writes.
func (l *Lab) upload(w *Worker, key, batch string) (body *io.PipeWriter, answer <-chan string) {
	l.TB.Helper()
	pr, pw := io.Pipe()
	r, err := http.NewRequest("POST", "http://"+w.Addr()+"/v1/batches?batch="+batch, pr)
	if err != nil {
		l.TB.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "text/csv")
	out := make(chan string, 1)
	go func() {
		res, err := (&http.Transport{}).RoundTrip(r)
		if err != nil {
			out <- err.Error()
			return
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			text = []byte(err.Error())
		}
		out <- string(text)
	}()
	return pw, out
}

// The examples of docs/http-api.md.
func TestHTTPExamples(t *testing.T) {
	l := New(t)
	l.StartVendor("--latency=5ms")
	write, _ := l.apiKeys()
	w := l.Workers(1)[0]
	root := moduleRoot(t)
	file := l.File("operations.csv", "server,token,id\n42,secret-token-curl-1,c1\n43,secret-token-curl-2,c2\n")
	for _, c := range []struct {
		tool, env string
		args      []string
		want      []string
		call      string // "": the id that it prints
	}{
		{"go", "", []string{"go", "run", "./examples/http/go", "0042", "order-go"}, []string{"enqueued ", "succeeded 202"}, ""},
		{"curl", "", []string{"sh", "examples/http/batch.sh", file, "año 1/2 ?&#%"}, []string{"id,server,", "c1,0042,", "c2,0043,"}, "c1"},
		{"php", "HABILITA_REQUIRE_PHP", []string{"php", "examples/http/call.php", "0042", "order-php"}, []string{"enqueued ", "succeeded 202"}, ""},
	} {
		t.Run(c.tool, func(t *testing.T) {
			if _, err := exec.LookPath(c.tool); err != nil {
				if c.env != "" && os.Getenv(c.env) == "1" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			// Run it twice: the second time it is the same call.
			said := c.call
			for range 2 {
				cmd := exec.CommandContext(t.Context(), c.args[0], c.args[1:]...)
				cmd.Dir = root
				cmd.Env = append(os.Environ(), "HABILITA_URL=http://"+w.Addr(), "HABILITA_API_KEY="+write, "WOLKVOX_TOKEN=secret-token-"+c.tool)
				out, err := cmd.CombinedOutput()
				for _, want := range c.want {
					if err != nil || !strings.Contains(string(out), want) {
						t.Fatalf("%v: want %q in\n%s", err, want, out)
					}
				}
				if c.call != "" {
					continue
				}
				line, _, _ := strings.Cut(string(out), "\n")
				id := strings.TrimPrefix(line, "enqueued ")
				if said != "" && id != said {
					t.Errorf("the second time made another call: %s, not %s", id, said)
				}
				said = id
			}
			l.Vendor.Await("one request", 5*time.Second, func(a wolkvoxtest.Account) bool {
				n := 0
				for _, r := range a.Records {
					if r.Call == said {
						n++
					}
				}
				return n == 1
			})
			text, err := os.ReadFile(filepath.Join(root, "docs", "http-api.md"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range c.args {
				if !strings.HasPrefix(name, "./examples/") && !strings.HasPrefix(name, "examples/") {
					continue
				}
				if strings.HasPrefix(name, "./") {
					name += "/main.go"
				}
				if !strings.Contains(string(text), "](../"+strings.TrimPrefix(name, "./")+")") {
					t.Errorf("docs/http-api.md does not lead to %s", name)
				}
			}
		})
	}
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}
