#!/usr/bin/env bash
# Fetches Glewlwyd, an OpenID provider, for the tests, on Debian, if it is missing. It is
# unpacked and not installed: a package that is installed starts a server with a known
# password. The tests start their own.
set -euo pipefail
into="${XDG_CACHE_HOME:-$HOME/.cache}/purser-tests/openid"
if [[ -x $into/usr/bin/glewlwyd ]] || command -v glewlwyd >/dev/null; then
  exit 0
fi

# What it needs and this machine does not have.
needed() { apt-get install -s --no-install-recommends dbconfig-no-thanks glewlwyd | awk '/^Inst /{print $2}'; }

if ! packages=$(needed 2>/dev/null); then
  if ((EUID != 0)); then
    echo "the tests need Debian's package glewlwyd: run apt-get update and this again, or run this as root" >&2
    exit 1
  fi
  apt-get update -qq
  packages=$(needed)
fi

mkdir -p "$(dirname "$into")"
work=$(mktemp -d "$into.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/packages" "$work/root"
as=()
if ((EUID == 0)); then as=(-o APT::Sandbox::User=root); fi
(cd "$work/packages" && apt-get download -qq "${as[@]}" $packages)
for package in "$work"/packages/*.deb; do
  dpkg-deb -x "$package" "$work/root"
done
rm -rf "$into" # what is there has no program
mv "$work/root" "$into"
