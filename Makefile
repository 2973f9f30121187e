# Everything that this project does to itself. `make test` and `make demo` need
# nothing but Go, and the tests a PostgreSQL and an OpenID provider: what is missing comes by itself.

# The same program everywhere: no C compiler, and (-trimpath) no paths of this
# machine. Of the working tree it has the commit, which `purser version` says.
export CGO_ENABLED = 0

GO       ?= go
BIN      := bin/purser
TIMEOUT  ?= 15m
FUZZTIME ?= 60s

.PHONY: help build demo test lint postgres openid soak fuzz bench clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the command, in bin/purser
	$(GO) build -trimpath -o $(BIN) ./cmd/purser

demo: build ## the main job from start to end: half a minute, and the first build
	$(BIN) demo

# What takes longest begins first, so that no core stands idle while one is waited for.
LONGEST := ./test/e2e ./internal/server ./internal/sim ./internal/wallet ./internal/ledger

# What keeps rows is tested on both databases.
ON_BOTH := ./internal/server ./internal/ledger ./internal/app ./internal/pay ./internal/job ./internal/db ./internal/usage ./test/bench ./internal/org ./internal/account ./internal/sso ./internal/project ./internal/mail ./internal/audit ./internal/tax ./internal/price ./internal/campaign ./internal/revenue ./internal/plan ./internal/notify ./internal/webhook ./internal/invoice

test: lint postgres openid ## lint and every test, in its short form of fixed size, on SQLite and on PostgreSQL
	$(GO) test -count=1 -timeout $(TIMEOUT) $(LONGEST) ./... # never from the cache: test/e2e builds the program, seeds are new
	$(GO) run ./test/postgres -- $(GO) test -count=1 -timeout $(TIMEOUT) $(ON_BOTH)

postgres: ## install PostgreSQL for the tests if it is missing (as root)
	@test/postgres/install.sh

openid: ## fetch an OpenID provider for the tests if it is missing
	@test/openid/install.sh

lint: ## gofmt, go vet and staticcheck (its version is pinned in go.mod)
	@unformatted=$$(gofmt -l .); \
		if [ -n "$$unformatted" ]; then echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

soak: ## the long forms: the lengths and the figures to quote
	PURSER_SOAK=1 $(GO) test -count=1 -timeout 24h -p 1 -v ./...
	$(MAKE) bench BENCH=-million
	$(MAKE) fuzz

fuzz: ## real fuzzing: every target there is, for FUZZTIME each
	@set -e; for package in $$($(GO) list ./...); do \
		targets=$$($(GO) test -list '^Fuzz' $$package); \
		for target in $$(echo "$$targets" | grep '^Fuzz' || true); do \
			echo "$$target in $$package for $(FUZZTIME)"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -timeout 30m $$package; \
		done; \
	done

bench: ## what one machine does, beside its limits in the same run: some minutes (BENCH=-quick, BENCH=-million)
	$(GO) run ./test/bench $(BENCH)

clean: ## remove what was built
	rm -rf bin dist
