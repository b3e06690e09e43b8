# SPDX-License-Identifier: Apache-2.0
#
# live.py NETNS FOLDER LISTENQ_TOP: an nginx and the exporter in NETNS, Prometheus here; what people do with them,
# and what then goes wrong. Prints a line `passed NAME` or `FAILED: NAME` for each check. Called by live.sh.
#
# Prometheus loads the rules and alerts as they are shipped, but with shorter times: minutes would be too long for
# a test. The times as shipped are tested by promtool (rules_test.yml, alerts_test.yml).
import contextlib
import ctypes
import http.server
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import world
from world import check, need, same, soon

NETNS, FOLDER, TOP = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
ADDRESS, PORT, BACKLOG = "192.0.2.1", 8080, 16
GROUP_PORT = 8082  # where each worker of nginx has a listener of its own (SO_REUSEPORT)
OTHER_PORT = 8081  # of listeners that come and go
SCRAPED = f"{ADDRESS}:9815"
URL = f"http://{SCRAPED}"
TEXT_PROXY_PORT = 9816


def at(port):
    return f'job="listenq-top",address="{ADDRESS}",port="{port}"'


NGINX, OTHER = at(PORT), at(OTHER_PORT)
SHORTER = {"[2m]": "[10s]", "[5m]": "[15s]", "[1m]": "[5s]"}


# --- The world ------------------------------------------------------------------------------------

class AsText(http.server.BaseHTTPRequestHandler):
    """A proxy for a scraper that knows no OpenMetrics."""

    def do_GET(self):
        status, kind, text = world.fetch(self.path, world.TEXT)
        with contextlib.suppress(ConnectionError):
            self.send_response(status or 502)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def serve_text():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", TEXT_PROXY_PORT), AsText)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Nginx:
    CONFIG = """
daemon off;
user root;
worker_processes 2;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {address}:{port} backlog={backlog};
    listen {address}:{group_port} reuseport backlog={backlog};
    return 204;
  }}
}}
"""

    def __init__(self, stack):
        self.stack = stack
        self.folder = FOLDER / "nginx"
        self.folder.mkdir()
        (self.folder / "conf").write_text(
            self.CONFIG.format(folder=self.folder, address=ADDRESS, port=PORT, group_port=GROUP_PORT, backlog=BACKLOG),
            encoding="ascii")
        self.process = None
        self.start()

    def start(self):
        self.process = world.start(self.stack, "nginx", "-e", self.folder / "log", "-c", self.folder / "conf",
                                   netns=NETNS, log=self.folder / "out")
        need("nginx starts", 10, lambda: len(self.workers()) == 2 and self.queue() is not None,
             lambda: (self.folder / "log").read_text(encoding="utf-8"))

    def workers(self):
        pid = self.process.pid
        try:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        except OSError:
            return []
        return [int(child) for child in children.split()]

    def queue(self):
        return world.queue(self.process.pid, PORT)

    def signal_all(self, number):
        for pid in [self.process.pid, *self.workers()]:
            os.kill(pid, number)


class World:
    def __init__(self, stack):
        self.stack = stack
        self.exporter_log = FOLDER / "exporter.log"
        self.exporter = world.start(stack, TOP, "serve", "--netns", "self", "-d", "0.5",
                                    "--web.listen-address", SCRAPED, netns=NETNS, log=self.exporter_log)
        need("the exporter is ready", 30, lambda: world.fetch(f"{URL}/-/ready")[0] == 200,
             lambda: self.exporter_log.read_text(encoding="utf-8"))
        self.nginx = Nginx(stack)
        serve_text()
        self.prometheus = world.Prometheus(stack, FOLDER, {
            "global": {"evaluation_interval": "500ms"},
            "rule_files": [str(shortened("listenq.rules.yml")), str(shortened("listenq.alerts.yml"))],
            "scrape_configs": [
                {"job_name": "listenq-top", "scrape_interval": "1s", "scrape_timeout": "1s",
                 "static_configs": [{"targets": [SCRAPED]}]},
                # Another scraper, at its own pace.
                {"job_name": "as-text", "scrape_interval": "3s", "scrape_timeout": "3s",
                 "proxy_url": f"http://127.0.0.1:{TEXT_PROXY_PORT}", "static_configs": [{"targets": [SCRAPED]}]},
            ]})
        self.value = self.prometheus.value

    def overflows(self):
        """As the kernel counted them."""
        return world.mib(self.exporter.pid, "ListenOverflows")

    def load(self, per_second, seconds, port=PORT):
        """Connections that send nothing, and are all closed at the end."""
        return world.start(self.stack, world.FOLDER.parent / "screen" / "load", ADDRESS, port, per_second, seconds)

    def listener(self, backlog):
        """Nobody accepts there."""
        process = world.start(self.stack, world.FOLDER / "listener", ADDRESS, OTHER_PORT, backlog, netns=NETNS)
        need("a listener starts", 10, lambda: world.queue(self.exporter.pid, OTHER_PORT) is not None)
        return process

    def increase(self, counter):
        """Since its first sample."""
        at = self.prometheus.last_scrape(counter)
        return at and self.value(f"sum(increase({counter}[1h]))", time=at)

    def page(self, accept=world.TEXT):
        return world.fetch(f"{URL}/metrics", accept)[2]

    def alerts_now(self):
        return "\n".join(str(alert) for alert in self.prometheus.alerts()) or "no alert is pending or firing"


def shortened(name):
    text = (world.PACKAGING / "prometheus" / name).read_text(encoding="utf-8")
    for shipped, short in SHORTER.items():
        text = text.replace(shipped, short)
    text = re.sub(r"\bfor: \d+m\b", "for: 2s", text)
    left = re.findall(r"\[\d+m\]", text)
    check(f"{name}: all its times are shortened", not left, left)
    path = FOLDER / name
    path.write_text(text, encoding="utf-8")
    return path


# --- What is scraped ------------------------------------------------------------------------------

def formats(it, when):
    said = subprocess.run(["promtool", "check", "metrics"], input=it.page(), capture_output=True, text=True,
                          check=False)
    check(f"promtool check metrics: {when}", said.returncode == 0 and not said.stdout + said.stderr,
          said.stdout, said.stderr)
    for job, accept, what in (("listenq-top", world.OPENMETRICS, "OpenMetrics"), ("as-text", world.TEXT, "text")):
        def counts():
            return (it.value(f'up{{job="{job}"}}'), it.value(f'scrape_samples_scraped{{job="{job}"}}'),
                    len(world.samples_of(it.page(accept))))
        soon(f"Prometheus takes each sample of {what}: {when}", 20,
             lambda: counts()[0] == 1 and counts()[1] == counts()[2], lambda: f"up, scraped, there: {counts()}")


def metrics_in(text):
    """({metric: its labels}, {family: its type})."""
    labels, types = {}, dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    for line in world.samples_of(text):
        name, inside = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line).groups()
        labels.setdefault(name, frozenset(re.findall(r'(\w+)="', inside or "")))
    return labels, types


# Not every backend of every kernel has these; or nothing of the kind has happened yet.
NOT_ALWAYS = r"_(bucket|sum|count)$|syn_queue|_wait_|nic_|bpf_|coverage|aborted|sk_drops"


def documented(it):
    """metrics.txt is held against docs/exporter.md: this is what all dashboards and rules are tested with."""
    known, types = metrics_in((world.FOLDER / "metrics.txt").read_text(encoding="utf-8"))
    found, types_found = metrics_in(it.page())
    wrong = [f"{name}: {sorted(labels)}, documented {sorted(known.get(name, ['not']))}"
             for name, labels in found.items() if labels != known.get(name)]
    wrong += [f"{name}: {kind}, documented {types.get(name)}" for name, kind in types_found.items()
              if kind != types.get(name)]
    wrong += [f"{name}: missing" for name in known if name not in found and not re.search(NOT_ALWAYS, name)]
    check("the exporter has the metrics that are documented", not wrong, *wrong)


def both_formats(it):
    formats(it, "idle")
    metadata = {}
    for entry in it.prometheus.api("targets/metadata"):
        metadata.setdefault(entry["target"]["job"], {})[entry["metric"]] = entry["type"]
    same("one is scraped as OpenMetrics", metadata["listenq-top"].get("listenq_listener"), "info")
    same("the other as text", metadata["as-text"].get("listenq_listener_info"), "gauge")

    def series(job):
        return {tuple(sorted((key, value) for key, value in labels.items() if key != "job"))
                for labels, _ in it.prometheus.query(f'{{job="{job}",__name__=~"(listenq|process)_.+"}}')}
    soon("both hold the same series", 10, lambda: series("listenq-top") == series("as-text"),
         lambda: series("listenq-top") ^ series("as-text"))


def same_peak(it):
    """Between two scrapes, for some hundredths of a second."""
    it.nginx.signal_all(signal.SIGSTOP)
    clients = world.connect(ADDRESS, PORT, 10)
    need("ten connections wait", 5, lambda: it.nginx.queue() == 10, it.nginx.queue)
    it.nginx.signal_all(signal.SIGCONT)
    need("they are accepted", 5, lambda: it.nginx.queue() == 0, it.nginx.queue)
    for client in clients:
        client.close()

    def peaks():
        return {labels["job"]: value for labels, value in it.prometheus.query(
            f'listenq_accept_queue_peak{{address="{ADDRESS}",port="{PORT}"}}')}
    soon("two scrapers see the same peak", 15, lambda: peaks() == {"listenq-top": 10, "as-text": 10}, peaks)


# --- Restarts -------------------------------------------------------------------------------------

def restarts(it):
    since = time.time()
    ports = PORT, GROUP_PORT
    soon("the listeners of two workers are one series", 10,
         lambda: it.value(f"listenq_accept_queue_limit{{{at(GROUP_PORT)}}}") == 2 * BACKLOG)

    def accepts():
        return {port: it.value(f"listenq_accepts_total{{{at(port)}}}") for port in ports}
    wanted = accepts()

    def accepted(what, during=None):
        loads = [it.load(20, 2, port) for port in ports]
        if during:
            during()
        for port, load in zip(ports, loads):
            load.wait(30)
            wanted[port] += 40
        soon(f"{what}: accepts", 10, lambda: accepts() == wanted, lambda: f"{accepts()}, not {wanted}")

    def reload():
        old = it.nginx.workers()
        it.nginx.process.send_signal(signal.SIGHUP)
        need("nginx has new workers", 10,
             lambda: len(it.nginx.workers()) == 2 and not set(old) & set(it.nginx.workers()))
    accepted("nginx is reloaded", reload)

    it.nginx.process.send_signal(signal.SIGQUIT)
    it.nginx.process.wait(10)
    it.nginx.start()
    accepted("nginx is restarted")

    for port in ports:
        counters = f'{{__name__=~".+_total",{at(port)}}}'
        backwards = [(labels, values) for labels, values in it.prometheus.range(counters, since)
                     if any(later[1] < earlier[1] for earlier, later in zip(values, values[1:]))]
        check(f"nginx is restarted: no counter goes backwards, port {port}", not backwards, backwards)
        same(f"nginx is restarted: resets(), port {port}",
             it.value(f"resets(listenq_accepts_total{{{at(port)}}}[1m])"), 0)
        states = it.prometheus.states(since, port=str(port))
        check(f"nginx is restarted: no alert, port {port}", not states, states)


# --- Overflows ------------------------------------------------------------------------------------

def first_overflow(it):
    overflows = f"listenq_overflows_total{{{NGINX}}}"
    same("nothing has overflowed yet", (it.overflows(), it.increase(overflows)), (0, 0))
    it.nginx.signal_all(signal.SIGSTOP)
    clients = world.connect(ADDRESS, PORT, BACKLOG + 1)
    need("the accept queue is full", 5, lambda: it.nginx.queue() == BACKLOG + 1, it.nginx.queue)
    world.refuse(ADDRESS, PORT, 1)
    same("the kernel refuses the first", wait_for(it.overflows), 1)
    soon("increase() sees the first overflow", 10, lambda: it.increase(overflows) == 1, lambda: it.increase(overflows))
    soon("rate() sees the first overflow", 10, lambda: it.value(f"sum(rate({overflows}[1m]))") > 0)
    for client in clients:
        client.close()


def was_pending(first, alert):
    return first.get((alert, "pending"), 1e99) < first.get((alert, "firing"), 0)


def wait_for(value, seconds=5):
    return world.wait(seconds, value)


def stopped_nginx(it):
    """Goes on where first_overflow() ended: nginx is stopped, and its queue is full."""
    since = time.time()
    load = it.load(40, 12)
    firing = soon("the overflow fires", 20,
                  lambda: it.prometheus.alerts("ListenqAcceptQueueOverflow", "firing", job="listenq-top", step="syn"),
                  it.alerts_now)
    if firing:
        labels = firing[0]["labels"]
        same("its labels name listener, process and step",
             {key: labels.get(key) for key in ("address", "port", "process", "step", "severity", "instance")},
             {"address": ADDRESS, "port": str(PORT), "process": "nginx", "step": "syn", "severity": "critical",
              "instance": SCRAPED})
        soon("its annotations too", 10, lambda: names_all(it), it.alerts_now)
    formats(it, "under load")
    for alert in ("ListenqAcceptQueueFilling", "ListenqNobodyAccepts"):
        soon(f"{alert} fires", 20, lambda alert=alert: it.prometheus.alerts(alert, "firing", port=str(PORT)),
             it.alerts_now)
        first = it.prometheus.states(since - 15, alertname=alert, job="listenq-top", port=str(PORT))
        check(f"{alert} was pending before", was_pending(first, alert), first)
    load.wait(30)
    it.nginx.signal_all(signal.SIGCONT)
    numbers_agree(it)
    soon("all of it resolves", 40, lambda: not it.prometheus.alerts(port=str(PORT)), it.alerts_now)
    critical = {(labels["alertname"], labels.get("port")) for labels, _ in it.prometheus.range(
        'ALERTS{severity="critical",alertstate="firing"}', since)}
    same("nothing else is critical", critical, {("ListenqAcceptQueueOverflow", str(PORT))})


def names_all(it):
    for alert in it.prometheus.alerts("ListenqAcceptQueueOverflow", "firing", job="listenq-top", step="syn"):
        summary, description = alert["annotations"]["summary"], alert["annotations"]["description"]
        return (f"{ADDRESS} port {PORT} (nginx)" in summary and "at the SYN" in summary
                and f"nginx pid {it.nginx.process.pid}" in description and f"the limit is {BACKLOG}" in description)


def numbers_agree(it):
    """Nothing is lost any more; what the kernel has counted, each of us must have."""
    names = {"ListenOverflows": f"sum(listenq_overflows_total{{{NGINX}}})",
             "ListenDrops": f"sum(listenq_drops_total{{{NGINX}}})"}

    def numbers():
        return {name: (world.mib(it.exporter.pid, name), it.value(expr),
                       it.value(f'listenq_netns_mib_total{{job="listenq-top",name="{name}"}}'))
                for name, expr in names.items()}
    soon("overflows and drops are the kernel's", 10,
         lambda: all(len(set(counts)) == 1 for counts in numbers().values()),
         lambda: f"kernel, listener, mib: {numbers()}")
    kernel = it.overflows()
    same(f"increase() is the kernel's {kernel} overflows", it.increase(f"listenq_overflows_total{{{NGINX}}}"), kernel)
    same("increase() over the reasons too", it.increase(f"listenq_drops_total{{{NGINX}}}"),
         world.mib(it.exporter.pid, "ListenDrops"))
    check("more than a hundred", kernel > 100, kernel)


# --- Listeners that close -------------------------------------------------------------------------

def closes_idle(it):
    listener = it.listener(8)
    limit = f"listenq_accept_queue_limit{{{OTHER}}}"
    need("Prometheus sees the listener", 10, lambda: it.value(limit) == 8)
    world.end(listener)
    soon("a listener closes: its series leave the page", 5, lambda: f'port="{OTHER_PORT}"' not in it.page())
    soon("a listener closes: they end in Prometheus", 10,
         lambda: it.prometheus.query(f'count({{{OTHER},__name__=~"listenq_.+"}})') == [],
         lambda: it.prometheus.query(f'{{{OTHER},__name__=~"listenq_.+"}}'))


def closes_with_queue(it):
    """Returns when it closed, to the machine's clock."""
    listener = it.listener(8)
    closed = f"listenq_closed_unaccepted_total{{{OTHER}}}"
    need("Prometheus sees the listener", 10, lambda: it.value(closed) == 0)
    clients = world.connect(ADDRESS, OTHER_PORT, 5)
    need("five connections wait", 5, lambda: world.queue(it.exporter.pid, OTHER_PORT) == 5)
    world.end(listener)
    at = time.monotonic()
    soon("a listener closes with a queue: increase()", 10, lambda: it.increase(closed) == 5,
         lambda: it.increase(closed))
    soon("a listener closes with a queue: alert", 10,
         lambda: it.prometheus.alerts("ListenqClosedUnaccepted", "firing", port=str(OTHER_PORT), process="listener"),
         it.alerts_now)
    soon("a listener closes with a queue: gauges end", 10,
         lambda: it.value(f"listenq_accept_queue_length{{{OTHER}}}") is None and
         not re.search(rf'listenq_accept_queue_length.*port="{OTHER_PORT}"', it.page()), it.page)
    for client in clients:
        client.close()
    return at


def counters_end(it, closed_at):
    left = 75 - (time.monotonic() - closed_at)
    soon("a listener closes with a queue: its counters end too", max(left, 1),
         lambda: f'port="{OTHER_PORT}"' not in it.page() and
         it.prometheus.query(f'count({{{OTHER},__name__=~"listenq_.+"}})') == [],
         lambda: it.prometheus.query(f'{{{OTHER},__name__=~"listenq_.+"}}'))


# --- The exporter itself --------------------------------------------------------------------------

def flooded(it):
    """Its own listener: silent clients, more than it keeps at once, and yet everybody is served."""
    since = time.time()
    own = 'job="listenq-top",port="9815"'
    accepts = f"listenq_accepts_total{{{own}}}"
    before = need("the exporter's own listener is watched", 5, lambda: it.value(accepts))
    it.load(150, 6, 9815).wait(30)
    soon("a flood at the exporter: it accepts all", 20, lambda: it.value(accepts) >= before + 900,
         lambda: it.value(accepts) - before)
    ups = [value for _, values in it.prometheus.range('up{job="listenq-top"}', since) for _, value in values]
    check("a flood at the exporter: it is scraped all the time", ups and min(ups) == 1, ups)
    states = it.prometheus.states(since, port="9815") | it.prometheus.states(since, alertname="ListenqExporterDown")
    check("a flood at the exporter: no alert", not states, states)


def stopped(it):
    since = time.time()
    it.exporter.send_signal(signal.SIGSTOP)
    alert = "ListenqExporterDown"
    soon("a stopped exporter: alert", 20, lambda: it.prometheus.alerts(alert, "firing", instance=SCRAPED),
         it.alerts_now)
    first = it.prometheus.states(since, alertname=alert)
    check("a stopped exporter: it was pending before", was_pending(first, alert), first)
    it.exporter.send_signal(signal.SIGCONT)
    soon("a stopped exporter: it recovers", 20,
         lambda: it.value('up{job="listenq-top"}') == 1 and not it.prometheus.alerts(alert), it.alerts_now)
    same("a stopped exporter: resets()", it.value(f"resets(listenq_accepts_total{{{NGINX}}}[1m])"), 0)


@contextlib.contextmanager
def held(pid):
    """Stops all threads but the first, as a debugger would."""
    seize, detach, interrupt, wall = 0x4206, 17, 0x4207, 0x40000000
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    ptrace.restype = ctypes.c_long
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]
    for thread in threads:
        for request in (seize, interrupt):
            if ptrace(request, thread, None, None) != 0:
                raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(thread, wall)
    try:
        yield threads
    finally:
        for thread in threads:
            ptrace(detach, thread, None, None)


def without_samples(it):
    """As if the kernel did not answer any more."""
    alerts = ("ListenqSampleStale", "ListenqCollectorDown")
    with held(it.exporter.pid) as threads:
        need("the exporter has a thread for samples", 0, lambda: threads)
        soon("no samples: not ready", 20, lambda: world.fetch(f"{URL}/-/ready")[0] == 503)
        soon("no samples: no listener is told", 5,
             lambda: "listenq_accept_queue" not in it.page() and
             'listenq_collector_up{collector="sample"} 0\n' in it.page(), it.page)
        for alert in alerts:
            soon(f"no samples: {alert}", 40,
                 lambda alert=alert: it.prometheus.alerts(alert, "firing", instance=SCRAPED), it.alerts_now)
        same("no samples: it answers all the same", it.value('up{job="listenq-top"}'), 1)
        formats(it, "without samples")
    soon("samples again: ready", 5, lambda: world.fetch(f"{URL}/-/ready")[0] == 200)
    soon("samples again: the alerts resolve", 40,
         lambda: not any(it.prometheus.alerts(alert) for alert in alerts), it.alerts_now)
    same("samples again: resets()", it.value(f"resets(listenq_accepts_total{{{NGINX}}}[1m])"), 0)


def dashboards(it):
    """All of their queries, over what the exporter really has; that each returns something is tested with data that
    no exporter has on an idle machine."""
    said = subprocess.run([sys.executable, world.FOLDER / "queries.py", it.prometheus.url, "10s", "none",
                           *sorted((world.PACKAGING / "grafana").glob("*.json")),
                           *sorted((world.PACKAGING / "prometheus").glob("listenq.*.yml"))],
                          capture_output=True, text=True, check=False)
    check("every query of the dashboards", said.returncode == 0, said.stdout, said.stderr)


# --- All of it ------------------------------------------------------------------------------------

def story(stack):
    began = time.time()
    it = World(stack)
    for job in ("listenq-top", "as-text"):
        need(f"{job} is scraped", 20, lambda job=job: it.value(f'up{{job="{job}"}}') == 1)
    both_formats(it)
    documented(it)
    same_peak(it)
    closes_idle(it)
    restarts(it)
    first_overflow(it)
    stopped_nginx(it)
    closed_at = closes_with_queue(it)
    flooded(it)
    stopped(it)
    without_samples(it)
    dashboards(it)
    counters_end(it, closed_at)

    critical = {(labels["alertname"], labels.get("port"))
                for labels, _ in it.prometheus.range('ALERTS{severity="critical"}', began)}
    same("all that was critical", critical, {("ListenqAcceptQueueOverflow", str(PORT)),
                                             ("ListenqClosedUnaccepted", str(OTHER_PORT))})
    wrong = it.prometheus.broken_rules()
    check("no rule fails", not wrong, wrong)
    said = it.prometheus.log.read_text(encoding="utf-8")
    check("Prometheus complains of nothing", not said, said)


world.run(story)
