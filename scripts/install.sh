#!/usr/bin/env bash
# Installs what the tests need beside Go, where it is missing: a C compiler (the
# race detector's), Node.js, npm, Chromium, Redis, HAProxy and nginx; and Docker
# Compose, if the system has a package. Prints nothing where everything is there.
set -euo pipefail

minimum_node=20

has() { command -v "$1" >/dev/null 2>&1; }

has_browser() {
  [ -n "${STOA_CHROMIUM:-}" ] || has chromium || has chromium-browser ||
    has google-chrome-stable || has google-chrome
}

has_compose() { has docker-compose || docker compose version >/dev/null 2>&1; }

# apt runs apt-get, and shows what it printed only if it failed.
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
# npm comes with some packages of Node.js and not with others.
has npm || missing+=(npm)
has redis-server || missing+=(redis-server)
has_browser || missing+=(chromium)
# Debian keeps them where only root looks for programs.
PATH=$PATH:/usr/sbin
has haproxy || missing+=(haproxy)
has nginx || missing+=(nginx)
if ! has_compose && has apt-cache && [ -n "$(apt-cache --names-only search '^docker-compose$')" ]; then
  missing+=(docker-compose)
fi

if [ "${#missing[@]}" -gt 0 ]; then
  has apt-get || fail "please install ${missing[*]}: this system has no apt-get"
  echo "installing ${missing[*]}"
  apt update
  # Where Chromium is no package (it is a snap on Ubuntu), apt-get says so.
  apt install -y --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}; another Chromium can be named in STOA_CHROMIUM"
fi

version=$(node --version)
major=${version#v}
major=${major%%.*}
[ "$major" -ge "$minimum_node" ] || fail "Node.js $minimum_node or newer is needed, this is $version"
