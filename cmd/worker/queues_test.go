package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
	"habilita/internal/web/guard"
)

// asynq's pages are there for who may write and, without their buttons, for who may look.
func TestQueuesPages(t *testing.T) {
	m := redistest.Mini(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer rdb.Close()
	if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask("t", nil), asynq.Queue("habilita"), asynq.TaskID("one")); err != nil {
		t.Fatal(err)
	}
	h := queuesHandler(rdb)
	ask := func(method, path string, canWrite bool) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, "/asynq"+path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(guard.With(r.Context(), guard.Principal{Name: "ana", CanWrite: canWrite})))
		return w
	}
	for canWrite, flag := range map[bool]string{true: `FLAG_READ_ONLY="false"`, false: `FLAG_READ_ONLY="true"`} {
		w := ask("GET", "/", canWrite)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), flag) {
			t.Errorf("%v: %d, no %s", canWrite, w.Code, flag)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if strings.Count(policy, "'sha256-") != 2 || strings.Contains(policy, "http") || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("policy: %s", policy)
		}
		if w := ask("GET", "/api/queues/habilita/pending_tasks", canWrite); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"one"`) {
			t.Errorf("%v: tasks: %d %s", canWrite, w.Code, w.Body)
		}
	}
	if w := ask("DELETE", "/api/queues/habilita/pending_tasks/one", false); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a reader deletes: %d", w.Code)
	}
	if w := ask("DELETE", "/api/queues/habilita/pending_tasks/one", true); w.Code != http.StatusNoContent {
		t.Errorf("a writer can't delete: %d %s", w.Code, w.Body)
	}
}
