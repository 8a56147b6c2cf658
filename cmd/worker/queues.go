package main

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"habilita/internal/web/guard"
)

// queuesPath is where asynq's own pages are.
const queuesPath = "/asynq"

// sharedClient gives asynqmon a client that stays its owner's to close.
type sharedClient struct{ rdb redis.UniversalClient }

func (c sharedClient) MakeRedisClient() any { return c.rdb }

// queuesHandler serves asynq's web pages, asynqmon, under queuesPath. Who may only look gets
// pages without buttons; that nothing is changed all the same is the Guard's work. What
// the buttons do to tasks does no harm: a chain whose task is gone is dispatched again, and a task
// that was run twice finds an old dispatch number.
//
// rdb is used until the last request has ended.
func queuesHandler(rdb redis.UniversalClient) http.Handler {
	open := func(readOnly bool) http.Handler {
		h := asynqmon.New(asynqmon.Options{RootPath: queuesPath, RedisConnOpt: sharedClient{rdb}, ReadOnly: readOnly})
		return withPolicy(h, pagePolicy(h))
	}
	writing, looking := open(false), open(true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if guard.From(r.Context()).CanWrite {
			writing.ServeHTTP(w, r)
			return
		}
		looking.ServeHTTP(w, r)
	})
}

var _ asynq.RedisConnOpt = sharedClient{}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// pagePolicy is the content security policy of asynqmon's only page: the scripts that it
// has are allowed by their hashes, its styles are made by them, and nothing is fetched
// from elsewhere (it asks for fonts of Google's, and does without).
func pagePolicy(h http.Handler) string {
	page := httptest.NewRecorder()
	h.ServeHTTP(page, httptest.NewRequest(http.MethodGet, queuesPath+"/", nil))
	scripts := []string{"'self'"}
	for _, m := range inlineScript.FindAllStringSubmatch(page.Body.String(), -1) {
		sum := sha256.Sum256([]byte(m[1]))
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return "default-src 'none'; script-src " + strings.Join(scripts, " ") + "; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

func withPolicy(h http.Handler, policy string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		h.ServeHTTP(w, r)
	})
}
