#!/usr/bin/env bash
# All checks that run no code of ours. The argument is the staticcheck to use.
set -euo pipefail
cd "$(dirname "$0")/.."

staticcheck=$PWD/${1:?usage: lint.sh path/to/staticcheck}

mapfile -d '' sources < <(find . \( -name node_modules -o -name .git \) -prune -o -name '*.go' -print0)
unformatted=$(gofmt -s -l "${sources[@]}")
if [ -n "$unformatted" ]; then
  printf 'gofmt -s would change:\n%s\n' "$unformatted" >&2
  exit 1
fi
echo "ok  gofmt"

# Other systems compile other files: the blocking transport instead of epoll.
for system in linux darwin windows; do
  GOOS=$system go vet ./...
  echo "ok  go vet ($system)"
done

for module in . test/compat/go; do
  (cd "$module" && go mod tidy -diff && go vet ./... && "$staticcheck" ./...)
  echo "ok  staticcheck ($module)"
done

scripts=(test/compat/js test/deploy test/clients)
[ ! -d cmd/stoa/internal/serve/demo ] || scripts+=(cmd/stoa/internal/serve/demo)
test/compat/js/node_modules/.bin/eslint --config test/compat/js/eslint.config.js --max-warnings 0 "${scripts[@]}"
(cd js && npm --silent run lint)
echo "ok  eslint"
