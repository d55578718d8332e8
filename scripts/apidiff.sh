#!/usr/bin/env bash
# Compares the exported API of the module with that of the last tag. An incompatible
# change needs a new minor version while the major version is 0, and a new major
# version after that.
set -euo pipefail
cd "$(dirname "$0")/.."

module=github.com/stoa-io/stoa
apidiff=$PWD/bin/tools/apidiff

tag=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
if [ -z "$tag" ]; then
  echo "apidiff.sh: there is no tag yet, so there is no released API to compare with"
  exit 0
fi

work=$(mktemp -d)
clean_up() {
  git worktree remove --force "$work/old" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
git worktree add --quiet --detach "$work/old" "$tag"
# compare ARGUMENTS...: apidiff without its notes on internal packages.
compare() { "$apidiff" "$@" 2> >(grep -v '^Ignoring internal package' >&2); }

(cd "$work/old" && compare -m -w "$work/old.export" "$module")
compare -m -w "$work/new.export" "$module"
compare -m "$work/old.export" "$work/new.export"
if [ -z "$(compare -m -incompatible "$work/old.export" "$work/new.export")" ]; then
  echo "ok  compatible with $tag"
  exit 0
fi

# series VERSION: the part that an incompatible change has to raise.
series() {
  local major=${1%%.*} rest=${1#*.}
  [ "$major" != 0 ] || major=0.${rest%%.*}
  echo "$major"
}
version=$(cat VERSION)
if [ "$(series "${tag#v}")" = "$(series "$version")" ]; then
  echo "apidiff.sh: incompatible with $tag, but VERSION is $version" >&2
  exit 1
fi
echo "ok  incompatible with $tag, which version $version permits"
