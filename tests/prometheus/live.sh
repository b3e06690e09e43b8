# SPDX-License-Identifier: Apache-2.0
#
# The part `live` of tests/prometheus/run: the real exporter, a real Prometheus, and a server that overflows, in a
# network namespace of its own. The rules run twelve times as fast as they are shipped.
# shellcheck shell=bash

namespace=lq-prom

close_world() { ip netns del "$namespace" 2>/dev/null || true; }

# order WORD: the shop has done it.
order() {
  local answer
  echo "$1" >&"${shop[1]}"
  read -r -t 20 answer <&"${shop[0]}" && [[ $answer == "$1" ]]
}

# The alert is about the shop, and says whose it is.
alert() { # NAME [MORE LABELS]
  local found
  found=$(count "ALERTS{alertname=\"$1\",alertstate=\"firing\",port=\"8080\",process=\"shop\",netns_name=\"$namespace\"${2:-}}") &&
    [[ -n $found ]]
}
no_alert() { # NAME, a regular expression
  local found
  found=$(count "ALERTS{alertname=~\"$1\",alertstate=\"firing\"}") && [[ -z $found ]]
}

# What the alert says, without line ends.
description() {
  curl -fsS "$url/api/v1/alerts" | python3 -c '
import json, sys
for alert in json.load(sys.stdin)["data"]["alerts"]:
    if alert["labels"]["alertname"] == sys.argv[1] and alert["labels"].get("step", "syn") == "syn":
        print(alert["annotations"]["description"])' "$1"
}

# The namespace's own count.
mib() { ip netns exec "$namespace" nstat -asz "$1" | awk -v name="$1" '$1 == name { print $2 }'; }

# Every metric of the real exporter is documented (metrics.txt is held against docs/exporter.md), with these labels.
same_metrics() { # FILE
  python3 - "$folder/metrics.txt" "$1" <<'PYTHON'
import re
import sys


def read(path):
    metrics, kinds = {}, {}
    for line in open(path, encoding="utf-8"):
        kind = re.match(r"# TYPE (\S+) (\S+)", line)
        if kind:
            kinds[kind[1]] = kind[2]
        sample = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line)
        if sample and not line.startswith("#"):
            metrics.setdefault(sample[1], frozenset(re.findall(r'(\w+)="', sample[2] or "")))
    return metrics, kinds


known, kinds = read(sys.argv[1])
found, kinds_found = read(sys.argv[2])
wrong = [f"{name}: {sorted(labels)}, documented {sorted(known.get(name, ['not']))}"
         for name, labels in found.items() if labels != known.get(name)]
wrong += [f"{name}: {kind}, documented {kinds.get(name)}" for name, kind in kinds_found.items() if kinds.get(name) != kind]
# What each backend of each kernel has; waiting times, the SYN queue and interfaces are not among it.
for name in known:
    if name not in found and not re.search(r"_(bucket|sum|count)$|syn_queue|_wait_|nic_|bpf_|coverage|aborted|sk_drops", name):
        wrong.append(f"{name}: missing")
print("\n".join(wrong))
sys.exit(bool(wrong))
PYTHON
}

check_live() {
  local port pid address fast=$work/fast said
  if ((EUID != 0)); then
    skip "live: needs root"
    return
  fi
  [[ -x $top ]] || die 1 "no binary $top: packaging/build dev listenq-top builds it"
  ip netns add "$namespace"
  ip -n "$namespace" link set lo up
  coproc shop { exec ip netns exec "$namespace" python3 "$folder/shop.py"; }
  # shellcheck disable=SC2154
  pid=$shop_PID
  pids+=("$pid")
  read -r -t 20 said <&"${shop[0]}"
  [[ $said == listening ]] || die 1 "the shop does not open"

  port=$(free_port) address=127.0.0.1:$port
  "$top" serve --web.listen-address "$address" --netns "$namespace" -d 0.25 >"$work/exporter.log" 2>&1 &
  pids+=($!)
  if ! until_true 30 curl -fsS "$address/-/ready"; then
    fail "the exporter is ready" "$work/exporter.log"
    return
  fi
  curl -fsS "$address/metrics" >"$work/metrics"
  check "promtool check metrics: the exporter" promtool check metrics <"$work/metrics"
  check "the exporter has the metrics of docs/exporter.md" same_metrics "$work/metrics"

  mkdir "$fast"
  for file in "$ours"/listenq.*.yml; do
    sed -E 's/\[[12]m\]/[10s]/g; s/\[5m\]/[20s]/g; s/for: [0-9]+m/for: 1s/' "$file" >"$fast/${file##*/}"
  done
  cat >"$work/live.yml" <<CONFIG
global: { scrape_interval: 500ms, evaluation_interval: 500ms }
rule_files: ["$fast/*.yml"]
scrape_configs:
  - job_name: listenq-top
    static_configs: [{ targets: ["$address"] }]
CONFIG
  if ! start_prometheus live "$work/live.yml"; then
    fail "prometheus scrapes the exporter" "$work/live.log"
    return
  fi
  check "the listener is scraped" until_true 20 is \
    "listenq_accept_queue_limit{port=\"8080\"} and on (netns) listenq_netns_info{netns_name=\"$namespace\"}" 2
  # Two samples of each, so that an increase would be seen.
  until_true 20 is 'min(count_over_time(listenq_build_info[10s])) > bool 4' 1 || true
  check "nothing is lost, no alert fires" no_alert 'Listenq.*'

  order rush
  check "an overflow fires the alert, with listener, process and step" \
    until_true 30 alert ListenqAcceptQueueOverflow ',step="syn",address="127.0.0.1",severity="critical"'
  said=$(description ListenqAcceptQueueOverflow)
  check "and says so in words: ${said:0:300}" grep -qE \
    "listener 127.0.0.1 port 8080 in network namespace $namespace on $address refused about [1-9][0-9]* SYNs \(step syn.*Now 3 connections wait, the limit is 2.*Held by shop pid $pid" \
    <<<"$said"
  check "its queue is full" until_true 20 alert ListenqAcceptQueueFilling
  check "nobody accepts" until_true 30 alert ListenqNobodyAccepts

  order accept
  order quiet
  check "the alert resolves" until_true 40 no_alert ListenqAcceptQueueOverflow
  check "and so do the others" until_true 40 no_alert 'Listenq.*'
  check "the losses are those that the kernel counted" until_true 10 is \
    "sum(listenq_drops_total)" "$(mib TcpExtListenDrops)"
  check "the overflows too" until_true 10 is "sum(listenq_overflows_total)" "$(mib TcpExtListenOverflows)"
  check "no rule failed" is 'sum(prometheus_rule_evaluation_failures_total) or vector(0)' 0
  reports python3 "$folder/queries.py" "$url" 10s none "$boards"/*.json "$fast"/*.yml
}
