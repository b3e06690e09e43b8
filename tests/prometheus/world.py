# SPDX-License-Identifier: Apache-2.0
#
# What live.py and fleet.py share: how they report, the exporter, Prometheus and its API, and what the kernel
# itself has counted. They run in a network namespace of their own, next to Prometheus; tests/prometheus/*.sh
# makes it, and takes it away with all that still runs in it.
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

FOLDER = pathlib.Path(__file__).parent
PACKAGING = FOLDER.parent.parent / "packaging"
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
TEXT = "text/plain;version=0.0.4"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy of the machine's
PR_SET_PDEATHSIG = 1


# --- Reports --------------------------------------------------------------------------------------

failures = 0


def passed(name):
    print(f"passed {name}", flush=True)


def failed(name, *details):
    global failures
    failures += 1
    print(f"FAILED: {name}")
    for detail in details:
        for line in str(detail).splitlines():
            print(f"    {line}")
    sys.stdout.flush()


def check(name, truth, *details):
    if truth:
        passed(name)
    else:
        failed(name, *details)
    return bool(truth)


def same(name, got, wanted):
    return check(name, got == wanted, f"got {got}", f"wanted {wanted}")


def wait(seconds, condition):
    """What the condition returns once that is true, or at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        time.sleep(0.05)


def soon(name, seconds, condition, *details):
    """Passed once the condition holds; details may be functions, asked when it failed."""
    value = wait(seconds, condition)
    return check(name, value, *([] if value else [f"not within {seconds} s"] + [
        detail() if callable(detail) else detail for detail in details])) and value


class Over(Exception):
    """What follows can't be tested without this."""


def need(name, seconds, condition, *details):
    value = wait(seconds, condition)
    if not value:
        failed(name, f"not within {seconds} s", *(detail() if callable(detail) else detail for detail in details))
        raise Over
    return value


def run(story):
    """Runs story(stack), cleans up whatever happens, and ends the process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        try:
            story(stack)
        except Over:
            pass
        except Exception:  # pylint: disable=broad-except
            failed("stopped", traceback.format_exc())
    sys.exit(failures > 0)


# --- Processes and the kernel ----------------------------------------------------------------------

def start(stack, *command, netns=None, log=None, **options):
    """A process that ends with this one, whatever ends this one."""
    libc = ctypes.CDLL(None)

    def follow():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    inside = ["ip", "netns", "exec", netns] if netns else []
    with open(log or os.devnull, "ab") as output:
        options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output} | options
        process = subprocess.Popen([*inside, *map(str, command)], preexec_fn=follow, **options)
    stack.callback(end, process)
    return process


def end(process, how=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def mib(pid, name):
    """What the kernel counted in the namespace of a process."""
    names = values = None
    for line in pathlib.Path(f"/proc/{pid}/net/netstat").read_text(encoding="ascii").splitlines():
        if line.startswith("TcpExt:"):
            names, values = (line.split(), None) if names is None else (names, line.split())
    return int(values[names.index(name)])


def queue(pid, port):
    """Connections in the accept queue of the listener at that port, in the namespace of a process."""
    for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == "0A" and int(local.split(":")[1], 16) == port:
            return int(queues.split(":")[1], 16)
    return None


def connect(address, port, count):
    """That many connections, one after the other; to be closed by the caller."""
    return [socket.create_connection((address, port), timeout=10) for _ in range(count)]


def refuse(address, port, count):
    """Sends that many SYNs that nobody must answer, each once: the socket is gone before it would try again."""
    for _ in range(count):
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex((address, port))


# --- The exporter ---------------------------------------------------------------------------------

def fetch(url, accept=TEXT, timeout=5):
    """(status, type, text); (0, "", why) where nobody answers."""
    try:
        with OPENER.open(urllib.request.Request(url, headers={"Accept": accept}), timeout=timeout) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, "", str(error)


def samples_of(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


# --- Prometheus -----------------------------------------------------------------------------------

class Prometheus:
    """One server, at 127.0.0.1:9090 of this namespace."""

    def __init__(self, stack, folder, config):
        self.url = "http://127.0.0.1:9090"
        self.log = folder / "prometheus.log"
        path = folder / "prometheus.yml"
        path.write_text(json.dumps(config), encoding="utf-8")  # which is YAML too
        said = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True, check=False)
        if said.returncode != 0:
            failed("promtool check config", said.stdout, said.stderr)
            raise Over
        self.process = start(
            stack, "prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=1h", "--web.listen-address=127.0.0.1:9090", "--log.level=warn",
            log=self.log)
        need("Prometheus starts", 30, lambda: fetch(f"{self.url}/-/ready")[0] == 200,
             lambda: self.log.read_text(encoding="utf-8"))

    def api(self, path, **parameters):
        status, _, text = fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=130)
        answer = json.loads(text) if status else {"status": "error", "error": text}
        if answer["status"] != "success":
            raise RuntimeError(f"{path} {parameters}: {answer['error']}")
        return answer["data"]

    def query(self, expr, **parameters):
        """[(labels, value)] of an instant vector."""
        return [(series["metric"], float(series["value"][1]))
                for series in self.api("query", query=expr, **parameters)["result"]]

    def value(self, expr, **parameters):
        """Of the only series; None where there is none."""
        found = self.query(expr, **parameters)
        if len(found) > 1:
            raise RuntimeError(f"{expr}: {len(found)} series")
        return found[0][1] if found else None

    def last_scrape(self, selector):
        """When the newest sample was taken. At this very time, increase() over a window in which the counter
        begins with 0 has nothing to extrapolate: then it is exact."""
        at = self.value(f"max(timestamp({selector}))")
        return at and f"{at:.3f}"

    def range(self, selector, since):
        """[(labels, [(time, value)])]: the samples themselves."""
        now = time.time()
        found = self.api("query", query=f"{selector}[{max(1, round((now - since) * 1000))}ms]", time=f"{now:.3f}")
        return [(series["metric"], [(at, float(value)) for at, value in series["values"]])
                for series in found["result"]]

    def rules(self):
        return [rule for group in self.api("rules")["groups"] for rule in group["rules"]]

    def broken_rules(self):
        return [rule for rule in self.rules() if rule["health"] != "ok"]

    def alerts(self, name=None, state=None, **labels):
        """Those that are pending or firing now, as the API has them."""
        return [alert for alert in self.api("alerts")["alerts"]
                if (name is None or alert["labels"]["alertname"] == name)
                and (state is None or alert["state"] == state)
                and all(alert["labels"].get(key) == value for key, value in labels.items())]

    def states(self, since, **labels):
        """{(alert, state): when it was first so} since then."""
        matchers = ",".join(f'{key}="{value}"' for key, value in labels.items())
        first = {}
        for series, values in self.range(f"ALERTS{{{matchers}}}", since):
            key = series["alertname"], series["alertstate"]
            first[key] = min(first.get(key, values[0][0]), values[0][0])
        return first
