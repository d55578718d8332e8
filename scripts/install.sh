#!/usr/bin/env bash
# Installs what the tests need beside Go, where it is missing: Node.js, npm,
# Chromium and Redis. Prints nothing where everything is there.
set -euo pipefail

minimum_node=18

has() { command -v "$1" >/dev/null 2>&1; }

has_browser() {
  [ -n "${STOA_CHROMIUM:-}" ] || has chromium || has chromium-browser || has google-chrome-stable
}

apt() {
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

missing=()
has node || missing+=(nodejs)
# npm comes with some packages of Node.js and not with others.
has npm || missing+=(npm)
has redis-server || missing+=(redis-server)
has_browser || missing+=(chromium)

if [ "${#missing[@]}" -gt 0 ]; then
  if ! has apt-get; then
    echo "install.sh: please install ${missing[*]}: this system has no apt-get" >&2
    exit 1
  fi
  echo "installing ${missing[*]}"
  apt update
  apt install -y --no-install-recommends "${missing[@]}"
fi

major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
if [ "$major" -lt "$minimum_node" ]; then
  echo "install.sh: Node.js $minimum_node or newer is needed, $(node --version) is installed" >&2
  exit 1
fi
if ! has_browser; then
  echo "install.sh: no Chromium: install one and name it in STOA_CHROMIUM" >&2
  exit 1
fi
