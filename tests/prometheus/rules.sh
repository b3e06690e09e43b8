# SPDX-License-Identifier: Apache-2.0
#
# The part `rules` of tests/prometheus/run: what promtool can say of the files in packaging/prometheus.
# shellcheck shell=bash

check_rules() {
  check "promtool check rules: recording rules" promtool check rules "$ours/listenq.rules.yml"
  check "promtool check rules: alerts" promtool check rules "$ours/listenq.alerts.yml"
  check "promtool test rules: recording rules" promtool test rules "$folder/rules_test.yml"
  check "promtool test rules: alerts" promtool test rules "$folder/alerts_test.yml"
  reports python3 "$folder/covered.py"

  # As it is, and with all that is commented out in it (but Kubernetes: Debian's promtool is built without).
  cp "$ours"/*.yml "$work/"
  check "promtool check config: scrape.yml" promtool check config "$work/scrape.yml"
  sed -E 's/^( *)# ([a-z_]+:|- [a-z_]+:|  |- )/\1\2/; s/kubernetes_sd_configs:/static_configs:/; s/- role: pod/- targets: []/' \
    "$ours/scrape.yml" >"$work/all.yml"
  check "promtool check config: scrape.yml with its examples" promtool check config --syntax-only "$work/all.yml"
  check "scrape.yml: the examples are taken" grep -q '^  - job_name: listenq-top-kubernetes' "$work/all.yml"
}
