# make help lists all commands.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GO ?= go
# What --version prints. A build without git has no commit.
LDFLAGS = -X habilita/internal/version.commit=$(shell git rev-parse HEAD 2>/dev/null) \
	-X habilita/internal/version.date=$(shell date -u +%Y-%m-%dT%H:%M:%SZ)

.DEFAULT_GOAL := help
.PHONY: help build test test-redis e2e race lint fmt cover bench bench-go demo screenshots matrix chaos containers mutations ci clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## both commands, in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='$(LDFLAGS)' -o bin/ ./cmd/worker ./cmd/enqueue

test: ## all quick tests; those that need a redis-server are skipped if there is none
	@command -v redis-server >/dev/null || echo 'There is no redis-server in the PATH: tests of crashes, restarts, failovers and a full Redis are left out, and all others run on miniredis alone.'
	$(GO) test ./...

e2e: ## what needs browsers, faults, or another program's client
	HABILITA_REQUIRE_REDIS=1 $(GO) test -C e2e -p 1 -count=1 -timeout 20m ./...

test-redis: ## all quick tests again; they fail if there is no redis-server
	HABILITA_REQUIRE_REDIS=1 $(GO) test -count=1 ./...

race: ## tests under the race detector (needs a C compiler)
	HABILITA_REQUIRE_REDIS=1 $(GO) test -race -count=1 $$(.ci/run --race-arguments)

lint: ## format, go vet and staticcheck, of both modules
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "run make fmt:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -C e2e ./...
	$(GO) run $(STATICCHECK) ./...
	cd e2e && $(GO) run $(STATICCHECK) ./...

fmt: ## format all Go files
	gofmt -w .

cover: ## statements that tests reach, in coverage.out
	$(GO) test -coverpkg=./... -coverprofile=coverage.out ./...
	$(GO) tool cover -func=coverage.out | tail -1

bench: ## measure against plain asynq, for three quarters of an hour: docs/performance.md
	$(GO) run -C e2e ./bench $(BENCHFLAGS)

bench-go: ## Go benchmarks of the hot paths, for benchstat
	$(GO) test -run '^$$' -bench . -benchmem $(BENCHGOFLAGS) ./...

matrix: ## all cases in simulated time (go test runs only a few): 25 minutes
	HABILITA_MATRIX=all $(GO) test -count=1 -timeout 60m ./internal/simtime

chaos: ## break everything under load, for an hour: docs/faults.md
	$(GO) run -C e2e ./chaos

containers: ## the compose files, in a container engine that the tests start (needs Linux, root, docker.io)
	HABILITA_REQUIRE_CONTAINERS=1 HABILITA_CONTAINERS=all $(GO) test -C e2e -count=1 -timeout 40m -v ./containers

mutations: ## remove one mechanism at a time: a test fails for each; writes docs/mutations.md
	$(GO) run -C e2e ./mutations -write

demo: ## see it work, with nothing installed
	$(GO) run ./cmd/worker demo

screenshots: ## pictures of all pages of the console, in screenshots/ (needs chromium)
	$(GO) run -C e2e ./browser/screenshots -out '$(CURDIR)/screenshots'

ci: ## all checks that a change must pass
	.ci/run

clean: ## remove what make has made
	rm -rf bin coverage.out
