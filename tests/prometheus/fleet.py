# SPDX-License-Identifier: Apache-2.0
#
# fleet.py NAME COUNT FOLDER LISTENQ_TOP: in each of the namespaces NAME-1 to NAME-COUNT an exporter and a listener
# that overflows, by another number in each; here one Prometheus for all of them, with the rules as they are
# shipped. Then every query of the fleet's dashboard, as Grafana sends it. Prints a line `passed NAME` or
# `FAILED: NAME` for each check. Called by fleet.sh.
import json
import pathlib
import re
import sys
import time

import world
from world import check, need, same, soon

NAME, COUNT, FOLDER, TOP = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4]
MACHINES = range(1, COUNT + 1)
PORT, BACKLOG = 8080, 4
INTERVAL = 2
LISTENER = f'port="{PORT}"'
# Of a listener whose accept queue stays full, machine by machine: 1, 2, 3, ... connections refused. The last ten lose
# far more than the others, so that these are the topk(10) also of rates, which are a little too high.
TOP_TEN = set(MACHINES[-10:])
PROVOKED = {machine: machine + (COUNT if machine in TOP_TEN else 0) for machine in MACHINES}
TOTAL = sum(PROVOKED.values())


def address(machine):
    return f"198.18.0.{machine}"


def scraped(machine):
    return f"{address(machine)}:9815"


def machine_of(labels):
    return int(labels["instance"].split(":")[0].split(".")[-1])


class Fleet:
    def __init__(self, stack):
        began = time.monotonic()
        self.exporters = {}
        for machine in MACHINES:
            netns = f"{NAME}-{machine}"
            world.start(stack, world.FOLDER / "listener", address(machine), PORT, BACKLOG, netns=netns)
            self.exporters[machine] = world.start(
                stack, TOP, "serve", "--netns", "self", "--web.listen-address", scraped(machine), netns=netns,
                log=self.log(machine))
        for machine in MACHINES:
            need(f"exporter {machine} is ready", 60,
                 lambda machine=machine: world.fetch(f"http://{scraped(machine)}/-/ready")[0] == 200,
                 lambda machine=machine: self.log(machine).read_text(encoding="utf-8"))
        print(f"fleet: {COUNT} exporters were ready after {time.monotonic() - began:.1f} s")
        self.prometheus = world.Prometheus(stack, FOLDER, {
            "global": {"scrape_interval": f"{INTERVAL}s", "scrape_timeout": f"{INTERVAL}s",
                       "evaluation_interval": f"{INTERVAL}s"},
            "rule_files": [str(world.PACKAGING / "prometheus" / f"listenq.{kind}.yml") for kind in ("rules", "alerts")],
            "scrape_configs": [{"job_name": "listenq-top",
                                "static_configs": [{"targets": [scraped(machine) for machine in MACHINES]}]}]})

    @staticmethod
    def log(machine):
        return FOLDER / f"exporter-{machine}.log"

    def kernel(self, name):
        """What the kernel counted, by machine."""
        return {machine: world.mib(exporter.pid, name) for machine, exporter in self.exporters.items()}

    def down(self):
        """Not scraped, and what does not work (the kernel takes 64 socket filters on its root cgroup)."""
        return "\n".join(str(labels) for labels, _ in self.prometheus.query("up == 0 or listenq_collector_up == 0"))

    def by_machine(self, expr):
        return {machine_of(labels): value for labels, value in self.prometheus.query(expr)}


# --- What is provoked -----------------------------------------------------------------------------

def provoke(fleet, stack):
    for machine in MACHINES:
        for client in world.connect(address(machine), PORT, BACKLOG + 1):
            stack.callback(client.close)
    for machine, exporter in fleet.exporters.items():
        need(f"the accept queue of machine {machine} is full", 10,
             lambda exporter=exporter: world.queue(exporter.pid, PORT) == BACKLOG + 1)
    for machine, count in PROVOKED.items():
        world.refuse(address(machine), PORT, count)
    soon("the kernels count what was provoked", 10, lambda: fleet.kernel("ListenOverflows") == PROVOKED,
         lambda: fleet.kernel("ListenOverflows"))
    same("and no other drop", fleet.kernel("ListenDrops"), PROVOKED)


def sums(fleet):
    prometheus, kernel = fleet.prometheus, fleet.kernel("ListenOverflows")
    overflows = f"listenq_overflows_total{{{LISTENER}}}"
    soon("each machine's overflows are its kernel's", 20,
         lambda: fleet.by_machine(f"sum by (instance) ({overflows})") == kernel,
         lambda: fleet.by_machine(f"sum by (instance) ({overflows})"))
    same("so are its drops", fleet.by_machine("sum by (instance) (listenq_drops_total)"), kernel)
    same("the sum over all is what was provoked", prometheus.value("sum(listenq_overflows_total)"), TOTAL)

    def increase(machine):
        of = f'listenq_overflows_total{{{LISTENER},instance="{scraped(machine)}"}}'
        return prometheus.value(f"sum(increase({of}[1h]))", time=prometheus.last_scrape(of))
    same("increase() is what was provoked, on each machine", {machine: increase(machine) for machine in MACHINES},
         PROVOKED)
    same("every loss has an owner", prometheus.value("min(listenq_netns_coverage_ratio)"), 1)
    same("every collector works", prometheus.query("listenq_collector_up == 0"), [])

    def critical():
        return {(machine_of(alert["labels"]), alert["labels"]["alertname"])
                for alert in prometheus.alerts(state="firing", severity="critical")}
    soon("each overflow is alerted, and nothing else", 3 * INTERVAL + 5,
         lambda: critical() == {(machine, "ListenqAcceptQueueOverflow") for machine in MACHINES}, critical)


# --- The dashboard --------------------------------------------------------------------------------

def panels_of(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def in_two_minutes(losses):
    """A rate over two minutes is a little too high while the data are younger: Prometheus assumes that the newest
    scrape, at most an interval (and its tenth, and a late one) ago, is not the end."""
    return lambda rate: losses <= rate * 120 * (1 + 1e-9) and rate * 120 < losses * 1.3


def expected():
    """By panel: what the values must be; none of the others may fail."""
    def one(test):
        return lambda found: len(found) == 1 and test(found[0][1])

    def machines(wanted, test):
        return lambda found: {machine_of(labels) for labels, _ in found} == wanted and all(
            test(machine_of(labels), value) for labels, value in found)

    def losses(machine, rate):
        return in_two_minutes(PROVOKED[machine])(rate)
    everyone = set(MACHINES)
    return {
        "Machines": one(lambda value: value == COUNT),
        "Not scraped": one(lambda value: value == 0),
        "Listeners": one(lambda value: value == 2 * COUNT),  # the exporter's own too
        "Losing now": one(lambda value: value == COUNT),
        "Losses a second": one(in_two_minutes(TOTAL)),
        "Fullest accept queue": one(lambda value: value == 1),
        "Losses a second, by machine": machines(TOP_TEN, losses),
        "Losses a second, by listener": machines(TOP_TEN, losses),
        "Losses a second, by reason": lambda found: {labels["reason"] for labels, value in found if value} ==
        {"accept_queue_full"} and in_two_minutes(TOTAL)(sum(value for _, value in found)),
        "Machines: losses": machines(everyone, losses),
        "Machines: losing": machines(everyone, lambda _, value: value == 1),
        "Machines: listeners": machines(everyone, lambda _, value: value == 2),
        "Machines: fill": machines(everyone, lambda _, value: value == 1),
        "Least coverage, by machine": lambda found: len(found) == min(COUNT, 10) and all(
            value == 1 for _, value in found),
    }


TABLE = {"listenq:instance_losses": "losses", "listenq:instance_listeners_losing": "losing",
         "listenq:instance_listeners:": "listeners", "listenq:instance_accept_queue_fill": "fill"}


def name_of(panel, expr):
    if panel["type"] != "table":
        return panel["title"]
    return f"{panel['title']}: " + next((what for part, what in TABLE.items() if part in expr), "rest")


def as_grafana(expr):
    """With its variables as a freshly opened dashboard has them."""
    return expr.replace("$job", ".*").replace("$__rate_interval", "1m")


def dashboard(fleet):
    board = json.loads((world.PACKAGING / "grafana" / "listenq-fleet.json").read_text(encoding="utf-8"))
    limit = {"s": 1, "m": 60, "h": 3600}[board["refresh"][-1]] * int(board["refresh"][:-1])
    wanted, seen, took, unknown = expected(), set(), {}, []
    for panel in panels_of(board):
        for target in panel.get("targets", []):
            expr = as_grafana(target["expr"])
            name = name_of(panel, expr)
            unknown += [expr] if "$" in expr else []
            took[f"{name} {target['refId']}"] = ask(fleet.prometheus, expr)
            if name in wanted and (name not in seen):
                seen.add(name)
                soon(f"fleet dashboard: {name}", 3 * INTERVAL + 5,
                     lambda expr=expr, name=name: wanted[name](fleet.prometheus.query(expr)),
                     expr, lambda expr=expr: fleet.prometheus.query(expr))
    same("fleet dashboard: all panels that are expected", set(wanted) - seen, set())
    check("fleet dashboard: all variables are known", not unknown, unknown)
    slowest = max(took, key=took.get)
    print(f"fleet: {len(took)} queries of the dashboard over 6 hours took {sum(took.values()):.2f} s together, "
          f"{took[slowest]:.3f} s the longest ({slowest})")
    check(f"fleet dashboard: all queries within its refresh, {board['refresh']}", sum(took.values()) < limit, took)


def ask(prometheus, expr):
    """As a graph does, over the last 6 hours; raises what Prometheus complains of."""
    now = time.time()
    began = time.monotonic()
    prometheus.api("query_range", query=expr, start=now - 6 * 3600, end=now, step=15)
    return time.monotonic() - began


def rules(fleet):
    wrong = fleet.prometheus.broken_rules()
    check("fleet: no rule fails", not wrong, wrong)
    slowest = max(fleet.prometheus.rules(), key=lambda rule: rule["evaluationTime"])
    print(f"fleet: the slowest rule, {slowest['name']}, takes {1000 * slowest['evaluationTime']:.1f} ms")


# --- What it costs --------------------------------------------------------------------------------

def cost(fleet, seconds):
    value = fleet.prometheus.value
    memory = "process_resident_memory_bytes"
    own = [private_kilobytes(exporter.pid) for exporter in fleet.exporters.values()]
    print(f"fleet: an exporter has {value(f'avg({memory})') / 2**20:.1f} MiB of memory (at most "
          f"{value(f'max({memory})') / 2**20:.1f}), of which {sum(own) / len(own) / 1024:.1f} MiB are its own")
    print(f"fleet: all {COUNT} together take {100 * seconds:.1f} % of a core, with one scrape each in {INTERVAL} s; "
          f"a sample takes {1000 * value('avg(listenq_sample_duration_seconds)'):.2f} ms")


def private_kilobytes(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kilobytes) for kilobytes in re.findall(r"^Private_\w+: +(\d+) kB", text, re.M))


def cpu_seconds(fleet):
    """Of all exporters, as the kernel counts it."""
    ticks = 0
    for exporter in fleet.exporters.values():
        fields = pathlib.Path(f"/proc/{exporter.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100


def story(stack):
    fleet = Fleet(stack)
    need("all are scraped, and nothing was lost yet", 60,
         lambda: fleet.prometheus.value(f"count(listenq_overflows_total{{{LISTENER},step=\"syn\"}} == 0)") == COUNT,
         lambda: fleet.down())
    began, before = time.monotonic(), cpu_seconds(fleet)
    provoke(fleet, stack)
    sums(fleet)
    dashboard(fleet)
    rules(fleet)
    cost(fleet, (cpu_seconds(fleet) - before) / (time.monotonic() - began))
    said = fleet.prometheus.log.read_text(encoding="utf-8")
    check("fleet: Prometheus complains of nothing", not said, said)


world.run(story)
