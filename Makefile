# Everything that is done with this repository, locally and in CI alike.
# `make` alone lists the targets.

# What `make run` and `make cluster` pass on: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=
# Executions per fuzz target in `make test`, and the time per target in `make fuzz`.
FUZZ_SMOKE ?= 20000x
FUZZ_TIME ?= 60s

NODE_PACKAGES := test/compat/js/node_modules/.installed
JS_PACKAGES := js/node_modules/.installed
STATICCHECK := bin/tools/staticcheck

.DEFAULT_GOAL := help
# Tests compete for two processors as it is, and their output should stay readable.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the program to bin/stoa
	go build -o bin/stoa ./cmd/stoa

.PHONY: examples
examples: ## build the examples to bin/examples
	go build -o bin/examples/ ./examples/...

.PHONY: js
js: js-build ## build the TypeScript client, and with it /stoa.js of the node
	cp js/dist/stoa.min.js cmd/stoa/internal/serve/demo/stoa.js

.PHONY: js-build
js-build: $(JS_PACKAGES)
	cd js && npm --silent run build

.PHONY: js-docs
js-docs: $(JS_PACKAGES) ## write the TypeScript client's reference to js/docs
	cd js && npm --silent run docs

.PHONY: docs-map
docs-map: ## draw the packages and their imports to docs/architecture.svg
	go run ./internal/archmap/draw

.PHONY: run
run: ## start a node with the demo page
	go run ./cmd/stoa serve $(ARGS)

.PHONY: cluster
cluster: build ## start three nodes, Redis and a load balancer
	scripts/cluster.sh $(ARGS)

.PHONY: test
test: install lint test-go test-stream fuzz-smoke test-compat-go test-ts test-restart test-deploy test-compat-js ## install what is missing and run every check and test

.PHONY: lint
lint: $(STATICCHECK) $(NODE_PACKAGES) js-build ## gofmt, vet for three systems, staticcheck, eslint
	scripts/lint.sh $(STATICCHECK)

.PHONY: test-go
test-go: js-build ## the Go tests, with the race detector
	go test -race -shuffle=on ./...

.PHONY: test-stream
test-stream: ## the tests of the node once more over the blocking transport
	STOA_TEST_TRANSPORT=stream go test -race -shuffle=on ./node/... ./cmd/...

.PHONY: test-compat-go
test-compat-go: ## the neffos client for Go against a node and the examples
	go -C test/compat/go test -race -shuffle=on ./...

.PHONY: test-ts
test-ts: build js-build js-docs test-peers $(NODE_PACKAGES) ## the TypeScript client, against a node and a neffos server
	cd js && npm --silent test
	cd js && npm --silent run size
	cd js && node --test --test-reporter=spec test-integration/*.test.js

.PHONY: test-restart
test-restart: js-build ## a node that is killed 20 times, with 100 clients of each kind
	STOA_TEST_ROUNDS=20 go test -race -v -run 'TestNodeRestarts|TestOutage' ./test/clients

.PHONY: test-peers
test-peers:
	go build -o bin/test-peer ./test/peer
	go build -C test/compat/go -o ../../../bin/test-neffos ./server

.PHONY: test-deploy
test-deploy: build $(NODE_PACKAGES) ## a cluster behind a load balancer, and the files in deploy
	node --test --test-reporter=spec test/deploy/*.test.js

.PHONY: test-compat-js
test-compat-js: build examples test-peers $(NODE_PACKAGES) ## neffos.js, our client in a browser, the demo page, the examples
	cd test/compat/js && npm --silent test

.PHONY: fuzz-smoke
fuzz-smoke: ## every fuzz target for a few seconds
	scripts/fuzz.sh $(FUZZ_SMOKE)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZ_TIME (60s)
	scripts/fuzz.sh $(FUZZ_TIME)

.PHONY: bench
bench: ## measure a node; see docs/benchmarks.md
	go run ./bench

.PHONY: install
install: ## install what the tests need from the system's packages
	@scripts/install.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin test/compat/js/node_modules js/node_modules js/dist js/docs

$(STATICCHECK): tools/go.mod tools/go.sum
	go build -C tools -buildvcs=false -o ../$@ honnef.co/go/tools/cmd/staticcheck
	@touch $@

$(JS_PACKAGES): js/package.json js/package-lock.json | install
	cd js && npm ci --include=dev --silent
	@touch $@

$(NODE_PACKAGES): test/compat/js/package.json test/compat/js/package-lock.json | install
	cd test/compat/js && npm ci --include=dev --silent
	@touch $@
