# SPDX-License-Identifier: Apache-2.0
#
# queries.py URL RANGE EXPECTED FILE...: runs every query of dashboards (.json) and rules (.yml) against the
# Prometheus at URL, with Grafana's variables replaced as Grafana would do it: $__rate_interval by RANGE, a
# dashboard's own by what their queries find. Prints `passed NAME` or `FAILED: NAME` a file. EXPECTED names the
# dashboards (by uid, joined by commas) of which every query must return data. With LIMIT in the environment none may
# take longer than so many seconds. Called by tests/prometheus/run.
import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

url, rate_interval, expected, files = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4:]
limit = float(os.environ.get("LIMIT", "30"))
FOLDER = pathlib.Path(__file__).parent
METRICS = set(re.findall(r"^# TYPE (\S+)", (FOLDER / "metrics.txt").read_text(encoding="utf-8"), re.M))


def api(path, **parameters):
    address = f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def run(expr):
    """What Prometheus answers: (how many series, error)."""
    began = time.monotonic()
    answer = api("query", query=expr)
    took = time.monotonic() - began
    if answer["status"] != "success":
        return 0, answer["error"]
    if took > limit:
        return 0, f"takes {took:.1f} s"
    return len(answer["data"]["result"]), None


def unknown_metrics(expr):
    """Names that no exporter serves and no rule records: a typing error would just return nothing."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)
    names = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in METRICS else name
             for name in re.findall(r"\b(?:listenq|process)_\w+(?=[{\[\s)]|$)", plain)}
    records = set(re.findall(r"\blistenq:[\w:]+", plain))
    return sorted((names - METRICS) | (records - RECORDS))


def rules(path):
    return [rule for group in yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))["groups"]
            for rule in group["rules"]]


RECORDS = {rule["record"] for file in files if file.endswith(".yml") for rule in rules(file) if "record" in rule}


def check_rules(path):
    wrong = []
    for rule in rules(path):
        _, error = run(rule["expr"])
        name = rule.get("record") or rule["alert"]
        wrong += [f"{name}: {error}"] if error else []
        wrong += [f"{name}: no metric {metric}" for metric in unknown_metrics(rule["expr"])]
    return wrong


def panels_of(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def substitute(text, values):
    for name in sorted(values, key=len, reverse=True):
        text = re.sub(rf"\$\{{{name}\}}|\${name}\b", lambda _: values[name], text)
    return text


def find_variables(board, wrong):
    """The values a freshly opened dashboard has: `All` where there is one, else the first found."""
    values = {"__rate_interval": rate_interval, "__interval": rate_interval, "__range": rate_interval}
    for variable in board["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        query = substitute(variable["query"]["query"], values)
        match = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
        if not match or "$" in query:
            wrong.append(f"variable {variable['name']}: {query}")
            continue
        found = {series.get(match[2]) for series in api("series", **{"match[]": match[1]}).get("data", [])} - {None}
        if not found:
            wrong.append(f"variable {variable['name']}: {query} finds nothing")
            found = {"nothing"}
        values[variable["name"]] = variable["allValue"] if variable["includeAll"] else sorted(found)[0]
    return values


def sources_of(thing):
    if isinstance(thing, dict):
        yield from [thing["datasource"]] if "datasource" in thing else []
    for part in thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else []:
        yield from sources_of(part)


def check_structure(board):
    wrong = []
    ids = [panel["id"] for panel in panels_of(board)]
    if len(ids) != len(set(ids)):
        wrong.append("two panels have the same id")
    if board["id"] is not None or board["schemaVersion"] < 36 or not board["uid"]:
        wrong.append("id must be null, schemaVersion at least 36, uid given")
    for source in sources_of(board):
        if not isinstance(source, dict) or source["uid"] not in ("${datasource}", "-- Grafana --"):
            wrong.append(f"a datasource of its own: {source}")
    squares = {}
    for panel in panels_of(board):
        at = panel["gridPos"]
        for square in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if square in squares or square[0] >= 24:
                wrong.append(f"{panel['title']} overlaps {squares.get(square, 'the edge')}")
                break
            squares[square] = panel["title"]
    return wrong


def check_board(path):
    board = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    wrong = check_structure(board)
    values = find_variables(board, wrong)
    queries = [(f"{panel['title']} {target['refId']}", target["expr"])
               for panel in panels_of(board) for target in panel.get("targets", [])]
    count = len(queries)
    queries += [(f"annotation {entry['name']}", entry["expr"])
                for entry in board["annotations"]["list"] if "expr" in entry]
    for index, (name, expr) in enumerate(queries):
        expr = substitute(expr, values)
        wanted = index < count and board["uid"] in expected
        series, error = run(expr)
        # On a slow machine a scrape may have been given up, and its gauges are gone until the next.
        deadline = time.monotonic() + 15
        while wanted and not error and not series and time.monotonic() < deadline:
            time.sleep(0.2)
            series, error = run(expr)
        if "$" in expr:
            error = "a variable that is not defined"
        elif wanted and not error and not series:
            error = "returns nothing"
        wrong += [f"{name}: {error}: {expr}"] if error else []
        wrong += [f"{name}: no metric {metric}" for metric in unknown_metrics(expr)]
    if not count:
        wrong.append("no query")
    return wrong


failed = False
for file in files:
    problems = check_board(file) if file.endswith(".json") else check_rules(file)
    print(f"{'FAILED:' if problems else 'passed'} queries of {pathlib.Path(file).name}")
    for problem in problems:
        print(f"    {problem}")
    failed = failed or bool(problems)
sys.exit(failed)
