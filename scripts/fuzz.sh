#!/usr/bin/env bash
# Runs every fuzz target of the module for the given -fuzztime: a number of
# executions (30000x) or a duration (60s).
set -euo pipefail
cd "$(dirname "$0")/.."

amount=${1:?usage: fuzz.sh <executions>x | <duration>}

# targets prints "directory target" lines. go test fuzzes one target at a time.
targets() {
  grep -rEo --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]+\(' . |
    sed -E 's|^(.*)/[^/]+:func (Fuzz[A-Za-z0-9_]+)\($|\1 \2|' | sort
}

# run fuzzes one target. Its output is shown if it fails.
run() {
  local log
  log=$(mktemp)
  if ! go test -run='^$' -fuzz="^$2\$" -fuzztime="$amount" "$1" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 255 # xargs starts no other target
  fi
  rm -f "$log"
  echo "ok  $2 ($1)"
}
export -f run
export amount

# A number of executions is soon reached, and most of the time goes into building
# and starting, which leaves processors idle. A duration needs all of them.
jobs=1
if [[ $amount == *x ]]; then
  jobs=2
fi

all=$(targets)
if [ -z "$all" ]; then
  echo "fuzz.sh: no fuzz targets found" >&2
  exit 1
fi
xargs -P "$jobs" -L 1 bash -c 'run "$@"' run <<<"$all"
