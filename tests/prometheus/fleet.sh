# SPDX-License-Identifier: Apache-2.0
#
# The part `fleet` of tests/prometheus/run: fifty exporters, each of a network namespace of its own, under one Prometheus
# with the rules as they are shipped. What was provoked in each must be what the fleet dashboard adds up.
# shellcheck shell=bash

fleet_size=50
fleet_limit=1 # seconds that a query of the fleet dashboard may take

close_fleet() {
  local i
  for ((i = 1; i <= fleet_size; i++)); do
    ip netns del "lq-fleet-$i" 2>/dev/null || true
  done
}

# Exactly what each exporter's shop provoked: prints the differences.
as_provoked() { # FIRST ADDRESS...
  curl -fsS --data-urlencode 'query=sum by (instance) (listenq_drops_total)' "$url/api/v1/query" |
    python3 -c '
import json, sys
counted = {r["metric"]["instance"]: r["value"][1] for r in json.load(sys.stdin)["data"]["result"]}
wanted = {address: str(6 + index) for index, address in enumerate(sys.argv[1:])}
for address in sorted(counted.keys() | wanted.keys()):
    if counted.get(address) != wanted.get(address):
        print(f"{address}: counted {counted.get(address)}, provoked {wanted.get(address)}")
sys.exit(counted != wanted)' "$@"
}

check_fleet() {
  local i ports address addresses=() names=() provoked targets said
  if ((EUID != 0)); then
    skip "fleet: needs root"
    return
  fi
  close_world() { close_fleet; }
  for ((i = 1; i <= fleet_size; i++)); do
    ip netns add "lq-fleet-$i"
    ip -n "lq-fleet-$i" link set lo up
    names+=("lq-fleet-$i")
  done
  coproc shops { exec python3 "$folder/shops.py" "${names[@]}"; }
  # shellcheck disable=SC2154
  pids+=("$shops_PID")
  read -r -t 20 said <&"${shops[0]}"
  [[ $said == listening ]] || die 1 "the shops do not open"

  mapfile -t ports < <(python3 -c '
import socket, sys
all = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in all: one.bind(("127.0.0.1", 0))
for one in all: print(one.getsockname()[1])' "$fleet_size")
  for ((i = 0; i < fleet_size; i++)); do
    addresses+=("127.0.0.1:${ports[i]}")
    "$top" serve --web.listen-address "${addresses[i]}" --netns "${names[i]}" >>"$work/fleet.log" 2>&1 &
    pids+=($!)
  done
  for address in "${addresses[@]}"; do
    if ! until_true 60 curl -fsS "$address/-/ready"; then
      fail "fifty exporters are ready" "$work/fleet.log"
      return
    fi
  done
  targets=$(printf '"%s",' "${addresses[@]}")
  cat >"$work/fleet.yml" <<CONFIG
global: { scrape_interval: 2s, evaluation_interval: 2s }
rule_files: ["$ours/listenq.rules.yml", "$ours/listenq.alerts.yml"]
scrape_configs:
  - job_name: listenq-top
    static_configs: [{ targets: [${targets%,}] }]
CONFIG
  if ! start_prometheus fleet "$work/fleet.yml"; then
    fail "prometheus scrapes the fleet" "$work/fleet.log"
    return
  fi
  # Each series stands at 0 twice before anything is lost.
  check "fifty exporters are scraped" until_true 60 is \
    'count(count_over_time(listenq_overflows_total{step="syn"}[1m]) >= 2)' "$fleet_size"

  provoked=$((fleet_size * 6 + fleet_size * (fleet_size - 1) / 2))
  echo rush >&"${shops[1]}"
  read -r -t 60 said <&"${shops[0]}"
  check "the clients came once" test "$said" = rush
  check "the fleet counts the $provoked losses that were provoked" until_true 30 is 'sum(listenq_drops_total)' "$provoked"
  check "each exporter those of its namespace" as_provoked "${addresses[@]}"
  check "the rules see fifty machines" until_true 20 is 'listenq:fleet_instances:count' "$fleet_size"
  check "each with a listener that loses" until_true 20 is 'listenq:fleet_listeners_losing:count' "$fleet_size"
  check "each with its alert" until_true 20 is \
    'count(ALERTS{alertname="ListenqAcceptQueueOverflow",alertstate="firing",step="syn"})' "$fleet_size"
  check "no rule fails" is 'sum(prometheus_rule_evaluation_failures_total) or vector(0)' 0
  reports env "LIMIT=$fleet_limit" python3 "$folder/queries.py" "$url" 10s none "$boards"/*.json \
    "$ours/listenq.rules.yml"
}
