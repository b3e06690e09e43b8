# SPDX-License-Identifier: Apache-2.0
#
# What live.sh and fleet.sh share: the network namespaces they made, which end with the script, and all that
# still runs in them. Sourced by both.
# shellcheck shell=bash disable=SC2154

own_namespaces=()

# reports_inside NETNS COMMAND...: as `reports`; in the background, so that a signal is not kept waiting.
reports_inside() {
  ip netns exec "$@" &
  pids+=($!)
  reports wait $!
}

close_world() {
  local name left
  for name in "${own_namespaces[@]}"; do
    [[ -e /run/netns/$name ]] || continue
    left=$(ip netns pids "$name" 2>/dev/null) || true
    # shellcheck disable=SC2086
    [[ -z $left ]] || kill -KILL $left 2>/dev/null || true
    ip netns del "$name" || true
  done
  own_namespaces=()
}
