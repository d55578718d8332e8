#!/usr/bin/env bash
# Runs gofmt -s with the given flags on every Go file of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -d '' sources < <(find . \( -name node_modules -o -name .git \) -prune -o -name '*.go' -print0)
exec gofmt -s "$@" "${sources[@]}"
