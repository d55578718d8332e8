#!/usr/bin/env bash
# Measures the coverage of the packages that users run: the tests of all packages, the
# node's tests again over the blocking transport, and the processes that tests start.
# Writes coverage.out for `go tool cover -html=coverage.out`, and prints a total.
set -euo pipefail
cd "$(dirname "$0")/.."

data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
mkdir "$data/go" "$data/blocking" "$data/processes"

# Test helpers, examples and the benchmark are not measured.
packages=$(go list ./... | grep -vE '/(bench|examples|test)(/|$)|/(clustertest|clitest|archmap|archtest|golden|load|testkit|redistest)(/|$)' | paste -sd,)

# measure DIRECTORY PACKAGES...: one run of tests.
measure() {
  local directory=$1
  shift
  GOCOVERDIR=$data/processes go test -cover -covermode=atomic -coverpkg="$packages" "$@" \
    -args -test.gocoverdir="$directory" | sed -E 's/[[:space:]]+coverage:.*//'
}

measure "$data/go" ./...
STOA_TEST_TRANSPORT=blocking measure "$data/blocking" ./node

go tool covdata textfmt -i="$data/go,$data/blocking,$data/processes" -pkg="$packages" -o coverage.out
go tool covdata percent -i="$data/go,$data/blocking,$data/processes" -pkg="$packages"
go tool cover -func=coverage.out | tail -n 1
