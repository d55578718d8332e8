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

found=0
while read -r directory target; do
  found=$((found + 1))
  log=$(mktemp)
  if ! go test -run='^$' -fuzz="^$target\$" -fuzztime="$amount" "$directory" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
  echo "ok  $target ($directory)"
done < <(targets)

if [ "$found" -eq 0 ]; then
  echo "fuzz.sh: no fuzz targets found" >&2
  exit 1
fi
