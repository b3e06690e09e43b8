# SPDX-License-Identifier: Apache-2.0
#
# What the test scripts share: the repository's root, the cache folder, messages, and the mirror
# this machine already uses. Sourced by tests/run, tests/vm/* and tests/fresh/run, never executed.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8 # numbers with a point, messages in English
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/listenq-top

say() { printf '%s\n' "$*" >&2; }

# die STATUS MESSAGE...
die() {
  local status=$1
  shift
  say "${0#"$root"/}: $*"
  exit "$status"
}

# The Debian mirror of this machine's own apt sources: the repository names none, so that the tests
# work behind whatever mirror or proxy the machine was given. DEBIAN_MIRROR overrides it.
debian_mirror() {
  local codename mirror
  if [[ -n ${DEBIAN_MIRROR:-} ]]; then
    echo "$DEBIAN_MIRROR"
    return
  fi
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' |
    awk '!found && $2 == "Debian" && $3 == "main" && $1 !~ /security/ { print $1; found = 1 }')
  if [[ -z $mirror ]]; then # no package lists yet: then the origin is not known, only the address
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
    mirror=$(apt-get --print-uris update |
      sed -n "s|^'\(.*\)/dists/$codename/InRelease' .*|\1|p" | sed q)
  fi
  [[ -n $mirror ]] && echo "$mirror"
}
