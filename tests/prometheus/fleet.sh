# SPDX-License-Identifier: Apache-2.0
#
# The part `fleet` of tests/prometheus/run (root): 50 network namespaces behind one bridge, which is in another,
# where fleet.py runs. Nothing of it is seen or reached from outside.
# shellcheck shell=bash disable=SC2154

. "$folder/namespaces.sh"

machines=${LISTENQ_FLEET:-50}

check_fleet() {
  local name=lq-fleet-$$
  if ((EUID != 0)); then
    skip "fleet: needs root"
  elif [[ ! -x $top ]]; then
    fail "fleet: no binary $top: packaging/build dev listenq-top builds it"
  else
    connect_fleet "$name"
    mkdir "$work/fleet"
    reports_inside "$name" python3 -B "$folder/fleet.py" "$name" "$machines" "$work/fleet" "$top"
  fi
}

# connect_fleet NAME: the addresses are of RFC 2544, for tests of networks: on no other machine.
connect_fleet() {
  local i
  own_namespaces+=("$1")
  ip netns add "$1"
  ip -n "$1" -batch - <<<"
link set lo up
link add bridge type bridge
address add 198.18.0.254/24 dev bridge
link set bridge up"
  for ((i = 1; i <= machines; ++i)); do
    own_namespaces+=("$1-$i")
    ip netns add "$1-$i"
    ip -n "$1" -batch - <<<"
link add to$i type veth peer name net netns $1-$i
link set to$i master bridge up"
    ip -n "$1-$i" -batch - <<<"
link set lo up
address add 198.18.0.$i/24 dev net
link set net up"
  done
}
