# SPDX-License-Identifier: Apache-2.0
#
# How a test script reports to tests/run: a line `passed NAME`, `FAILED: NAME` or `SKIPPED: NAME` for each
# check. Sourced by tests/prometheus/run and tests/packaging/run after tests/lib.sh, never executed. Sets
# $work, a folder that goes with the script, as do the processes whose ids are in $pids.
# shellcheck shell=bash

work=$(mktemp -d -t listenq-checks.XXXXXX)
failed=0 pids=()

finish() {
  local status=$?
  trap - EXIT INT TERM HUP
  ! declare -F close_world >/dev/null || close_world
  ((!${#pids[@]})) || kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf --one-file-system "$work"
  ((status != 0 || failed == 0)) || status=1
  exit "$status"
}
trap finish EXIT
trap 'exit 143' INT TERM HUP

pass() { echo "passed $*"; }
skip() { echo "SKIPPED: $*"; }

# fail NAME [LOG]
fail() {
  failed=$((failed + 1))
  echo "FAILED: $1"
  [[ ! -s ${2:-} ]] || tail -n 60 "$2" | sed 's/^/    /'
}

# check NAME COMMAND...: passed if it ends with 0.
check() {
  local name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    pass "$name"
  else
    fail "$name" "$work/log"
  fi
}

# quiet COMMAND...: true if it ends with 0 and prints nothing.
quiet() {
  local status=0 said
  said=$("$@" 2>&1) || status=$?
  [[ -z $said ]] || echo "$said"
  [[ $status == 0 && -z $said ]]
}

# reports COMMAND...: one that prints such lines itself, and ends with another status than 0 if one failed.
reports() { "$@" || failed=$((failed + 1)); }

# until_true SECONDS COMMAND...: tries it until it ends with 0, or the time is over.
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

have() { command -v "$1" >/dev/null; }
