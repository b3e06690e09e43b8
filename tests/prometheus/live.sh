# SPDX-License-Identifier: Apache-2.0
#
# The part `live` of tests/prometheus/run (root): makes a network namespace for a server and one for its clients
# and Prometheus, and runs live.py in the latter.
# shellcheck shell=bash disable=SC2154

. "$folder/namespaces.sh"

check_live() {
  local name=lq-live-$$
  if ((EUID != 0)); then
    skip "live: needs root"
  elif ! have nginx; then
    skip "live: nginx is missing; 'sudo apt-get install nginx-light' brings it, and starts it as a service"
  elif [[ ! -x $top ]]; then
    fail "live: no binary $top: packaging/build dev listenq-top builds it"
  else
    own_namespaces+=("$name" "$name-c")
    ip netns add "$name"
    ip netns add "$name-c"
    ip -n "$name-c" link set lo up
    ip -n "$name" link add web type veth peer name web netns "$name-c"
    ip -n "$name" address add 192.0.2.1/24 dev web # of TEST-NET-1: on no other machine
    ip -n "$name-c" address add 192.0.2.2/24 dev web
    ip -n "$name" link set web up
    ip -n "$name-c" link set web up
    mkdir "$work/live"
    reports_inside "$name-c" python3 -B "$folder/live.py" "$name" "$work/live" "$top"
  fi
}
