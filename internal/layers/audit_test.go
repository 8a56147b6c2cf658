package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// people are the ways by which people and programs enqueue. What they enqueue goes through package control, which notes it.
var people = []string{"cmd/enqueue", "internal/web", "tasks"}

// unnoted are functions that enqueue nothing in Redis: a dry run, and a job with no Redis.
var unnoted = []string{"foresee", "work"}

func TestEnqueueingIsNoted(t *testing.T) {
	calls := 0
	for _, dir := range people {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.Contains(path, "testdata") || strings.Contains(path, "consoletest") {
				return err
			}
			noted, bare, err := enqueueing(path, nil)
			calls += noted
			for _, where := range bare {
				t.Errorf("%s enqueues past the audit log: have Control.EnqueueBatch or EnqueueCall call it", where)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if calls < 6 { // one call and a batch, each of the command, HTTP and Go
		t.Errorf("%d calls of a producer were found", calls)
	}
}

func TestEnqueueingPastTheAuditLogIsFound(t *testing.T) {
	for body, want := range map[string]int{
		`p.Enqueue(ctx, c)`:                                          1,
		`p.EnqueueBatch(n, c, o)`:                                    1,
		`func() { p.Enqueue(ctx, c) }()`:                             1,
		`c.EnqueueCall(ctx, s, func() { p.Enqueue(ctx, x) })`:        0,
		`c.EnqueueBatch(ctx, n, func() { p.EnqueueBatch(n, x, o) })`: 0,
	} {
		_, bare, err := enqueueing("x.go", "package x\nfunc f() { "+body+" }")
		if err != nil || len(bare) != want {
			t.Errorf("%s: %v, %v", body, bare, err)
		}
	}
}

// enqueueing finds the calls of a producer's Enqueue and EnqueueBatch in a file: those within a function that is given to
// package control, and where the others stand.
func enqueueing(path string, source any) (noted int, bare []string, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		return 0, nil, err
	}
	var above []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			above = above[:len(above)-1]
			return true
		}
		call, ok := n.(*ast.CallExpr)
		if ok && (calls(call, "Enqueue") || calls(call, "EnqueueBatch")) && !takesFunc(call) &&
			!slices.ContainsFunc(above, func(n ast.Node) bool {
				f, ok := n.(*ast.FuncDecl)
				return ok && slices.Contains(unnoted, f.Name.Name)
			}) {
			if slices.ContainsFunc(above, func(n ast.Node) bool {
				c, ok := n.(*ast.CallExpr)
				return ok && (calls(c, "EnqueueBatch") || calls(c, "EnqueueCall")) && takesFunc(c)
			}) {
				noted++
			} else {
				bare = append(bare, files.Position(call.Pos()).String())
			}
		}
		above = append(above, n)
		return true
	})
	return noted, bare, nil
}

func calls(c *ast.CallExpr, method string) bool {
	s, ok := c.Fun.(*ast.SelectorExpr)
	return ok && s.Sel.Name == method
}

func takesFunc(c *ast.CallExpr) bool {
	if len(c.Args) == 0 {
		return false
	}
	_, ok := c.Args[len(c.Args)-1].(*ast.FuncLit)
	return ok
}
