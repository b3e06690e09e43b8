# SPDX-License-Identifier: Apache-2.0
#
# The part `queries` of tests/prometheus/run: three pretended machines, every query of dashboards and rules.
# shellcheck shell=bash

check_queries() {
  local targets ports
  python3 "$folder/pretend.py" 3 >"$work/ports" &
  pids+=($!)
  until_true 20 eval '(($(wc -l <"$work/ports") == 3))'
  mapfile -t ports <"$work/ports"
  targets=$(printf '"127.0.0.1:%s",' "${ports[@]}")
  check "promtool check metrics: what is pretended" \
    bash -c "set -o pipefail; curl -fsS 127.0.0.1:${ports[0]}/metrics | promtool check metrics"

  cat >"$work/queries.yml" <<CONFIG
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["$ours/listenq.rules.yml", "$ours/listenq.alerts.yml"]
scrape_configs:
  - job_name: listenq-top
    static_configs: [{ targets: [${targets%,}] }]
CONFIG
  if ! start_prometheus queries "$work/queries.yml"; then
    fail "prometheus starts with the rules" "$work/queries.log"
    return
  fi
  # All groups have been evaluated over some samples, and what reads the records of another has seen them.
  if ! until_true 60 is 'min(count_over_time(listenq:fleet_losses:rate2m[1m])) >= bool 3' 1; then
    fail "the fleet's losses are recorded" "$work/queries.log"
  fi
  check "no rule fails" is 'sum(prometheus_rule_evaluation_failures_total) or vector(0)' 0
  reports python3 "$folder/queries.py" "$url" 10s listenq-overview,listenq-listener "$boards"/*.json \
    "$ours"/listenq.*.yml
}
