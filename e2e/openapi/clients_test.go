package openapi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"habilita/internal/web/api/apitest"
)

// oapiCodegen makes the client in Go. The generator for TypeScript is pinned in
// testdata/typescript.
const oapiCodegen = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"

// Clients that others generate from the document compile and work. The programs that use them are
// in testdata. The generators and their modules come from the Go module proxy and from npm's registry.
// If they can't be fetched, the test is skipped, unless HABILITA_REQUIRE_CLIENTS=1.
func TestGeneratedClients(t *testing.T) {
	const key = "ana-0123456789abcdefghij"
	api := apitest.Start(t, "ana:write:"+key)
	document := filepath.Join(apiDir(t), "openapi.yaml")
	type step struct {
		name  string
		fetch bool // it downloads something
		args  []string
	}
	for dir, steps := range map[string][]step{
		"go": {
			{"fetch the generator", true, []string{"go", "install", oapiCodegen}},
			{"generate", false, []string{"./oapi-codegen", "-generate", "types,client", "-package", "client", "-o", "client/client.gen.go", document}},
			{"fetch modules", true, []string{"go", "mod", "download"}},
			{"compile", false, []string{"go", "build", "-o", "run", "."}},
			{"run", false, []string{"./run"}},
		},
		"typescript": {
			{"fetch packages", true, []string{"npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"}},
			{"generate", false, []string{"node_modules/.bin/openapi-typescript", document, "-o", "api.ts"}},
			{"compile", false, []string{"node_modules/.bin/tsc"}},
			{"run", false, []string{"node", "out/main.js"}},
		},
	} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			at := t.TempDir()
			if err := os.CopyFS(at, os.DirFS(filepath.Join("testdata", dir))); err != nil {
				t.Fatal(err)
			}
			if dir == "go" { // its name keeps tools away from it: its package client does not exist yet
				if err := os.Rename(filepath.Join(at, "main.go.txt"), filepath.Join(at, "main.go")); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(at, "client"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, s := range steps {
				cmd := exec.CommandContext(t.Context(), s.args[0], s.args[1:]...)
				cmd.Dir = at
				// A client has a module of its own.
				cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOBIN="+at, "HABILITA_URL="+api.URL, "HABILITA_API_KEY="+key)
				out, err := cmd.CombinedOutput()
				if err != nil && s.fetch && os.Getenv("HABILITA_REQUIRE_CLIENTS") != "1" {
					t.Skipf("%s: %v\n%s", s.name, err, out)
				}
				if err != nil {
					t.Fatalf("%s: %v\n%s", s.name, err, out)
				}
				if s.name == "run" && strings.TrimSpace(string(out)) != "ok" {
					t.Errorf("it says %q", out)
				}
			}
		})
	}
}
