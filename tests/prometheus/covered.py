# SPDX-License-Identifier: Apache-2.0
#
# covered.py: is every alert tested to fire and not to fire, every record to have a value, and has every alert
# what it must have: severity, summary, description, and a runbook that exists? Prints `passed NAME` or
# `FAILED: NAME`. Called by tests/prometheus/run.
import pathlib
import re
import sys

import yaml

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parent.parent
RULES = ROOT / "packaging" / "prometheus"


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


rules = [rule for name in ("listenq.rules.yml", "listenq.alerts.yml") for group in load(RULES / name)["groups"]
         for rule in group["rules"]]
tests = [test for name in ("rules_test.yml", "alerts_test.yml") for test in load(FOLDER / name)["tests"]]
runbook = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
# As the pages that show Markdown make them: lower case, spaces to dashes, nothing else.
headings = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", runbook, re.M)}

cases = [case for test in tests for case in test.get("alert_rule_test", [])]
fires = {case["alertname"] for case in cases if case.get("exp_alerts")}
quiet_after = {case["alertname"] for test in tests for index, case in enumerate(test.get("alert_rule_test", []))
               if not case.get("exp_alerts")
               and any(earlier["alertname"] == case["alertname"] and earlier.get("exp_alerts")
                       for earlier in test["alert_rule_test"][:index])}
tested_records = {record for test in tests for case in test.get("promql_expr_test", []) if case.get("exp_samples")
                  for record in re.findall(r"listenq:[\w:]+", case["expr"])}

wrong = []
for rule in rules:
    if "record" in rule:
        if rule["record"] not in tested_records:
            wrong.append(f"{rule['record']}: no test")
        continue
    name = rule["alert"]
    if name not in fires:
        wrong.append(f"{name}: no test in which it fires")
    if name not in quiet_after:
        wrong.append(f"{name}: no test in which it resolves")
    if rule["labels"].get("severity") not in ("critical", "warning"):
        wrong.append(f"{name}: severity")
    for annotation in ("summary", "description"):
        if not rule["annotations"].get(annotation):
            wrong.append(f"{name}: no {annotation}")
    page, _, anchor = rule["annotations"].get("runbook_url", "").partition("#")
    if page != "/usr/share/doc/listenq-top/alerts.md" or anchor != name.lower() or anchor not in headings:
        wrong.append(f"{name}: runbook_url leads nowhere: {page}#{anchor}")
alerts = {rule["alert"].lower() for rule in rules if "alert" in rule}
wrong += [f"docs/alerts.md: {title}: no such alert" for title in headings if title.startswith("listenq")
          and title not in alerts and title != "listenq-top"]

# docs/exporter.md lists what metrics.txt serves.
served = set(re.findall(r"^# TYPE (\S+)", (FOLDER / "metrics.txt").read_text(encoding="utf-8"), re.M))
listed = set(re.findall(r"^\| `((?:listenq|process)_\w+)` \|", (ROOT / "docs/exporter.md").read_text(encoding="utf-8"), re.M))
wrong += [f"docs/exporter.md: {name} is in one of it and metrics.txt only" for name in sorted(served ^ listed)]

print("FAILED: every rule is tested and documented" if wrong else "passed every rule is tested and documented")
for problem in wrong:
    print(f"    {problem}")
sys.exit(bool(wrong))
