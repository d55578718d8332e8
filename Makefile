# Every task of this repository, for developers and CI alike.
# `make` alone lists the targets.

# One version for the program, the npm package and the image.
VERSION := $(shell cat VERSION)
# Arguments for `make run` and `make cluster`: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=
# Executions per fuzz target in `make test`, time per target in `make fuzz`.
FUZZ_SMOKE ?= 10000x
FUZZ_TIME ?= 60s

LDFLAGS := -X github.com/stoa-io/stoa/cmd/stoa/internal/cli.version=$(VERSION)

JS_PACKAGES := js/node_modules/.installed
COMPAT_JS_PACKAGES := test/compat/js/node_modules/.installed
FRAMEWORKS_PACKAGES := test/frameworks/node_modules/.installed

# The tools and their packages; tools/go.mod has the versions.
TOOL_apidiff := golang.org/x/exp/cmd/apidiff
TOOL_cyclonedx-gomod := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
TOOL_govulncheck := golang.org/x/vuln/cmd/govulncheck
TOOL_misspell := github.com/golangci/misspell/cmd/misspell
TOOL_staticcheck := honnef.co/go/tools/cmd/staticcheck

.DEFAULT_GOAL := help
# Test targets start nodes, Redis and browsers. Running two of them at once on two
# processors makes timeouts likely and output unreadable. CI runs them in parallel, as
# separate jobs.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the program to bin/stoa
	go build -ldflags "$(LDFLAGS)" -o bin/stoa ./cmd/stoa

.PHONY: examples
examples: ## build the examples to bin/examples
	go build -o bin/examples/ ./examples/...

.PHONY: js
js: js-build ## build the TypeScript client and embed it in package ops as /stoa.js
	cp js/dist/stoa.min.js ops/stoa.js

.PHONY: js-build
js-build: $(JS_PACKAGES)
	cd js && npm --silent run build

.PHONY: js-docs
js-docs: $(JS_PACKAGES) ## write the TypeScript client's reference to js/docs
	cd js && npm --silent run docs

.PHONY: docs-map
docs-map: ## draw the packages and their imports to docs/architecture.svg
	go run ./internal/archmap/draw

.PHONY: docs-conformance
docs-conformance: ## write docs/conformance.md
	go test ./test/clients -run TestConformance -update

.PHONY: docs-configuration
docs-configuration: ## write the reference in docs/configuration.md and deploy/stoa.schema.json
	go test ./config -run TestGeneratedFilesAreCurrent -update

.PHONY: generate
generate: js docs-map docs-conformance docs-configuration ## write every generated file that is committed

.PHONY: fmt
fmt: ## format the Go code
	scripts/gofmt.sh -w

.PHONY: run
run: ## start a node with the demo page
	go run -ldflags "$(LDFLAGS)" ./cmd/stoa serve $(ARGS)

.PHONY: cluster
cluster: build ## start three nodes, Redis and a load balancer
	scripts/cluster.sh $(ARGS)

.PHONY: test
test: install lint test-go test-beside test-compat-go test-ts test-restart test-deploy test-compat-js ## install missing packages, run every check and test but test-frameworks, test-recovery, test-herd and hostile

.PHONY: hostile
hostile: ## run the long form of the attacks on a node
	STOA_HOSTILE=long go test ./test/hostile -count 1 -timeout 30m -v -run TestAttacks

.PHONY: lint
lint: bin/tools/staticcheck bin/tools/misspell js-build ## run gofmt, vet for three systems, staticcheck, misspell and eslint
	scripts/lint.sh

.PHONY: test-go
# The race detector adds allocations, and makes the tests that read the whole
# repository five times as slow.
# The packages whose tests mostly wait come first: others fill that time.
test-go: js-build ## run the Go tests, nearly all of them with the race detector
	go test -race -shuffle=on -p 3 ./test/cluster ./cluster/redisbroker ./...
	go test ./internal/archtest
	go test -run Allocations ./node ./internal/session ./internal/recovery

# The one mostly waits, and the other mostly computes.
.PHONY: test-beside
test-beside:
	$(MAKE) --no-print-directory --output-sync=target -j2 test-blocking fuzz-smoke

.PHONY: test-blocking
# The test that is left out chooses this transport itself, so test-go runs it.
test-blocking: ## run the tests of the node over the blocking transport
	STOA_TEST_TRANSPORT=blocking go test -race -shuffle=on -skip '^TestBlockingConnectionsLeaveNothing$$' ./node

.PHONY: test-compat-go
test-compat-go: ## run neffos clients in Go against a node and the examples
	go -C test/compat/go test -race -shuffle=on ./...

.PHONY: test-ts
test-ts: build js-build js-docs test-peers $(COMPAT_JS_PACKAGES) ## run the TypeScript client against a node and a neffos server
	cd js && npm --silent test
	cd js && npm --silent run size
	cd js && node --test --test-reporter=spec test-integration/*.test.js

.PHONY: test-frameworks
test-frameworks: js-build test-peers $(COMPAT_JS_PACKAGES) $(FRAMEWORKS_PACKAGES) ## run the packed TypeScript client in versions of Node.js, test runners and bundlers
	cd test/frameworks && npm --silent test

.PHONY: test-restart
test-restart: js-build ## kill a node 20 times while 100 clients of each kind reconnect
	STOA_TEST_ROUNDS=20 go test -race -v -run 'TestNodeRestarts|TestOutage' ./test/clients

.PHONY: test-presence
test-presence: ## run the test of presence in a cluster with 10,000 clients
	STOA_TEST_MEMBERS=10000 go test -count 1 -v -run 'TestPresence$$' -timeout 20m ./test/cluster

.PHONY: test-recovery
test-recovery: ## let 300 clients leave and return for minutes while Redis and nodes fail
	STOA_RECOVERY=long go test -count 1 -v -run TestRecovery -parallel 2 -timeout 30m ./test/cluster

.PHONY: test-herd
test-herd: ## let 20,000 clients come back at once when their nodes are killed
	STOA_RECOVERY=long go test -count 1 -v -run TestHerd ./test/cluster

.PHONY: test-peers
test-peers:
	go build -o bin/test-peer ./test/peer
	go build -C test/compat/go -o ../../../bin/test-neffos ./server

.PHONY: test-deploy
test-deploy: build $(COMPAT_JS_PACKAGES) ## run a cluster behind a load balancer, follow docs/getting-started.md, check the files in deploy
	node --test --test-reporter=spec test/deploy/*.test.js

.PHONY: test-compat-js
test-compat-js: build examples test-peers $(COMPAT_JS_PACKAGES) ## run neffos.js, browsers and the demo page against a node
	cd test/compat/js && npm --silent test

.PHONY: fuzz-smoke
fuzz-smoke: ## run every fuzz target for a few seconds
	scripts/fuzz.sh $(FUZZ_SMOKE)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZ_TIME (60s)
	scripts/fuzz.sh $(FUZZ_TIME)

.PHONY: cover
cover: ## measure the coverage of all Go tests, with both transports
	scripts/cover.sh

.PHONY: vuln
vuln: bin/tools/govulncheck ## look for known vulnerabilities in the dependencies
	scripts/vuln.sh

.PHONY: apidiff
apidiff: bin/tools/apidiff ## compare the exported API with the last release
	scripts/apidiff.sh

.PHONY: release
release: bin/tools/cyclonedx-gomod $(JS_PACKAGES) ## build the archives, SBOMs and checksums of a release to dist
	scripts/release.sh

.PHONY: bench
bench: ## measure a node; see docs/benchmarks.md
	go run ./bench

.PHONY: install
install: ## install the system packages that the tests need
	@scripts/install.sh

.PHONY: clean
clean: ## remove built files and installed packages
	rm -rf bin dist coverage.out test/compat/js/node_modules test/frameworks/node_modules js/node_modules js/dist js/docs

bin/tools/%: tools/go.mod tools/go.sum
	go build -C tools -trimpath -buildvcs=false -o ../$@ $(TOOL_$*)
	@touch $@

$(JS_PACKAGES): js/package.json js/package-lock.json | install
	cd js && npm ci --include=dev --silent
	@touch $@

$(COMPAT_JS_PACKAGES): test/compat/js/package.json test/compat/js/package-lock.json | install
	cd test/compat/js && npm ci --include=dev --silent
	@touch $@

$(FRAMEWORKS_PACKAGES): test/frameworks/package.json test/frameworks/package-lock.json | install
	cd test/frameworks && npm ci --include=dev --include=optional --ignore-scripts --silent
	@touch $@
