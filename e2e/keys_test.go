package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// describedKeys are the names of keys in the tables of docs/architecture.md. Text between <> or {}, and "...", stands
// for anything. A name that begins with a colon has the prefix, and the hash tag if any, of the name before it.
func describedKeys(t *testing.T) []*regexp.Regexp {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, keys, _ := strings.Cut(string(page), "\n## Keys in Redis\n")
	keys, _, _ = strings.Cut(keys, "\n## ")
	var all []*regexp.Regexp
	for line := range strings.Lines(keys) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		prefix := "habilita:{xx}:" // of the bucket's keys, whose names have none
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			name := m[1]
			switch {
			case strings.HasPrefix(name, ":"):
				name = prefix + name
			case strings.HasPrefix(name, "habilita"):
				prefix = regexp.MustCompile(`^habilita(:\{[^}]*\})?`).FindString(name)
			case !strings.HasPrefix(name, "asynq"):
				name = prefix + name
			}
			pattern := regexp.QuoteMeta(name)
			pattern = regexp.MustCompile(`<[^>]*>|\\\{[^}]*\\\}|\\\.\\\.\\\.`).ReplaceAllString(pattern, ".+")
			all = append(all, regexp.MustCompile("^"+pattern+"$"))
		}
	}
	return all
}

// The docs describe every key that a day's work leaves in Redis.
func TestKeysAreDescribed(t *testing.T) {
	l := New(t)
	l.StartVendor("--bad-token=bad-")
	rows := Many(30, 3, func(i int) string {
		if i == 7 {
			return "bad-" + good(i)
		}
		return good(i)
	})
	file := l.File("ops.csv", Plan{Rows: rows}.CSV())
	l.MustEnqueue("schedule", "add", "nightly", "--cron", "0 2 * * *", "--timezone", "America/Bogota", "--file", file, "--progress", "none")
	l.MustEnqueue("bulk", file, "--batch", "first", "--progress", "none")
	l.Set("WOLKVOX_TOKEN", good(2))
	l.MustEnqueue("call", "--server", "1", "--id", "later", "--in", "1h")
	l.StartWorker().Ready()
	l.MustEnqueue("call", "--server", "1", "--id", "now", "--chain", "other", "--wait")
	l.MustEnqueue("schedule", "run", "nightly")
	l.awaitRuns("nightly", 1)
	l.AwaitSettled("first", 0)
	l.MustEnqueue("retry", "--batch", "first")
	l.Enqueue("quota", "sync", "--batch", "first") // fails for the bad token
	described := describedKeys(t)
	if len(described) < 40 {
		t.Fatalf("%d names in the tables", len(described))
	}
	keys, err := l.Client().Keys(t.Context(), "*").Result()
	if err != nil || len(keys) < 100 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	unknown := map[string]bool{}
	for _, key := range keys {
		known := false
		for _, d := range described {
			known = known || d.MatchString(key)
		}
		if !known {
			unknown[regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(key, "{}")] = true
		}
	}
	for key := range unknown {
		t.Errorf("docs/architecture.md does not describe %s", key)
	}
}
