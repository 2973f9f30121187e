# Everything that this project does to itself. `make test` and `make demo` need
# nothing but Go: the modules come by themselves.

# The same program everywhere: no C compiler, and no stamp of the working tree.
export CGO_ENABLED = 0

GO       ?= go
BIN      := bin/purser
TIMEOUT  ?= 15m

.PHONY: help build demo test lint soak bench clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the command, in bin/purser
	$(GO) build -trimpath -o $(BIN) ./cmd/purser

demo: build ## the main job from start to end, in under a minute
	$(BIN) demo

test: lint ## lint and every test, in its short form of fixed size
	$(GO) test -count=1 -timeout $(TIMEOUT) ./... # never from the cache: test/e2e builds the program, seeds are new

lint: ## gofmt, go vet and staticcheck (its version is pinned in go.mod)
	@unformatted=$$(gofmt -l .); \
		if [ -n "$$unformatted" ]; then echo "not formatted (run gofmt -w):"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

soak: ## the long forms: the lengths and the figures to quote
	PURSER_SOAK=1 $(GO) test -count=1 -timeout 3h -p 1 -v ./...

bench: ## what one machine does, with the limit of its disk in the same run
	$(GO) test -run '^$$' -bench . -benchmem -p 1 ./...

clean: ## remove what was built
	rm -rf bin dist
