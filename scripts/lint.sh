#!/usr/bin/env bash
# Runs all checks that execute no code of this repository. Every check prints "ok" and
# its name, or its findings.
#
# Checks are called in a condition, where `set -e` has no effect: a check with several
# commands joins them with &&.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/bin/tools

check_gofmt() {
  local unformatted
  unformatted=$(scripts/gofmt.sh -l) || return
  if [ -n "$unformatted" ]; then
    printf 'gofmt -s would change these files; make fmt does it:\n%s\n' "$unformatted" >&2
    return 1
  fi
}

# Other systems compile other files, such as the blocking transport.
check_vet() { GOOS=$1 go vet ./...; }

check_module() { (cd "$1" && go mod tidy -diff && go vet ./... && "$tools/staticcheck" ./...); }

check_tools_module() { go -C tools mod tidy -diff; }

# American spelling in code and prose, except for "dialogue", which both sides of the
# Atlantic write. Recorded bytes and built files are left alone.
check_spelling() {
  git grep --untracked -lIz -e '' -- ':!*testdata/*' ':!*package-lock.json' ':!*go.sum' ':!*/stoa.js' |
    xargs -0 "$tools/misspell" -locale US -i dialogue -error
}

# The file VERSION against the places that cannot read it.
check_version() {
  local version
  version=$(cat VERSION)
  node -e '
    const [, version] = process.argv;
    const lock = require("./js/package-lock.json");
    const dockerfile = require("fs").readFileSync("Dockerfile", "utf8");
    const found = {
      "js/package.json": require("./js/package.json").version,
      "js/package-lock.json": lock.version,
      "js/package-lock.json, packages": lock.packages[""].version,
      "Dockerfile": /^ARG VERSION=(.*)$/m.exec(dockerfile)?.[1],
    };
    for (const [file, other] of Object.entries(found)) {
      if (other === version) continue;
      console.error(`VERSION is ${version}, but ${file} has ${other}`);
      process.exitCode = 1;
    }
  ' "$version"
}

# One configuration for all scripts; tsc checks the types of the TypeScript client.
check_eslint() {
  js/node_modules/.bin/eslint --config js/eslint.config.js --max-warnings 0 \
    js test/compat/js test/frameworks test/deploy test/clients cmd/stoa/internal/serve/demo examples &&
    (cd js && npm --silent run types)
}

# run NAME COMMAND...: one check.
run() {
  local name=$1
  shift
  if ! "$@"; then
    echo "lint.sh: $name failed" >&2
    exit 1
  fi
  echo "ok  $name"
}

run "gofmt" check_gofmt
for system in linux darwin windows; do
  run "go vet ($system)" check_vet "$system"
done
for module in . test/compat/go; do
  run "go mod tidy, staticcheck ($module)" check_module "$module"
done
run "go mod tidy (tools)" check_tools_module
run "spelling" check_spelling
run "version" check_version
run "eslint" check_eslint
