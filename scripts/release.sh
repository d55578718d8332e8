#!/usr/bin/env bash
# Builds a release of the version in the file VERSION to dist: an archive and an SBOM
# for each system, the npm package, and SHA256SUMS. The same commit and the same
# version of Go give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."

systems=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64)

fail() {
  echo "release.sh: $*" >&2
  exit 1
}

version=$(cat VERSION)
[ -z "$(git status --porcelain)" ] || fail "there are uncommitted changes"
tag=$(git tag --points-at HEAD --list 'v*')
[ -z "$tag" ] || [ "$tag" = "v$version" ] || fail "the commit is tagged $tag, but VERSION is $version"
grep -qE "^## \\[?$version\\]?( |$)" CHANGELOG.md || fail "CHANGELOG.md has no section for $version"

# Every time stamp is that of the commit.
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export CGO_ENABLED=0 GOFLAGS=-trimpath
# Archives and checksums in the same order and with the same modes everywhere.
export LC_ALL=C
umask 022

rm -rf dist
mkdir dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build SYSTEM: the program, its archive and its SBOM.
build() {
  local os=${1%/*} arch=${1#*/} suffix=
  [ "$os" != windows ] || suffix=.exe
  local name=stoa_${version}_${os}_$arch
  mkdir "$work/$name"
  GOOS=$os GOARCH=$arch go build -buildvcs=true \
    -ldflags "-s -w -X github.com/stoa-io/stoa/cmd/stoa/internal/cli.version=$version" \
    -o "$work/$name/stoa$suffix" ./cmd/stoa
  cp LICENSE README.md CHANGELOG.md "$work/$name/"
  tar --create --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    --directory "$work" "$name" | gzip -n -9 >"dist/$name.tar.gz"
  GOOS=$os GOARCH=$arch bin/tools/cyclonedx-gomod app -json -noserial -notimestamp -std -packages \
    -main cmd/stoa -output "dist/$name.sbom.json" . 2>"$work/sbom.log" || { cat "$work/sbom.log" >&2; return 1; }
  echo "ok  dist/$name.tar.gz"
}

for system in "${systems[@]}"; do
  build "$system"
done

(cd js && npm pack --silent --pack-destination ../dist)

(cd dist && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
cat dist/SHA256SUMS
