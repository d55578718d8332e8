#!/usr/bin/env bash
# Installs missing programs that the tests need in addition to Go: a C compiler (for
# the race detector), Node.js, npm, Chromium, Redis, HAProxy, nginx, OpenSSL, curl,
# script and, if the system has a package, Docker Compose. It prints nothing if no program is missing.
set -euo pipefail

minimum_node=20

has() { command -v "$1" >/dev/null 2>&1; }

has_browser() {
  [ -n "${STOA_CHROMIUM:-}" ] || has chromium || has chromium-browser ||
    has google-chrome-stable || has google-chrome
}

has_compose() { has docker-compose || docker compose version >/dev/null 2>&1; }

# apt runs apt-get and prints its output only if it fails.
apt() {
  local root=() log status=0
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  log=$(mktemp)
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >"$log" 2>&1 || status=$?
  [ "$status" -eq 0 ] || cat "$log" >&2
  rm -f "$log"
  return "$status"
}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

missing=()
has cc || has gcc || missing+=(gcc libc6-dev)
has node || missing+=(nodejs)
# Only some packages of Node.js include npm.
has npm || missing+=(npm)
has redis-server || missing+=(redis-server)
has openssl || missing+=(openssl)
has curl || missing+=(curl)
has script || missing+=(bsdutils)
has_browser || missing+=(chromium)
# Debian installs them in a folder that only root has in PATH.
PATH=$PATH:/usr/sbin
has haproxy || missing+=(haproxy)
has nginx || missing+=(nginx)
if ! has_compose && has apt-cache && [ -n "$(apt-cache --names-only search '^docker-compose$')" ]; then
  missing+=(docker-compose)
fi

if [ "${#missing[@]}" -gt 0 ]; then
  has apt-get || fail "apt-get not found; please install ${missing[*]}"
  echo "installing ${missing[*]}"
  apt update
  # On Ubuntu Chromium is a snap, not a package; apt-get then prints an error.
  apt install -y --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}; STOA_CHROMIUM can name another Chromium"
fi

version=$(node --version)
major=${version#v}
major=${major%%.*}
[ "$major" -ge "$minimum_node" ] || fail "need Node.js $minimum_node or newer, found $version"
