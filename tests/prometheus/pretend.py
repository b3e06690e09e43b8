# SPDX-License-Identifier: Apache-2.0
#
# pretend.py COUNT: serves metrics.txt at COUNT ports of 127.0.0.1, and prints the ports. Counters and histograms
# grow from 0 by their value a second; NOW is the time. Called by tests/prometheus/run, to have data for the
# queries of dashboards and rules that no exporter on an idle machine has. Serves until it is killed.
import http.server
import pathlib
import re
import signal
import sys
import threading
import time

TEXT = (pathlib.Path(__file__).parent / "metrics.txt").read_text(encoding="utf-8")
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$")


def page(began):
    elapsed = time.time() - began
    growing = ""
    for line in TEXT.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            growing = name if kind in ("counter", "histogram") else ""
        match = SAMPLE.match(line)
        if not match:
            yield line
        elif match[3] == "NOW":
            yield f"{match[1]} {time.time()}"
        elif growing and match[1].startswith(growing):
            yield f"{match[1]}{match[2] or ''} {float(match[3]) * elapsed}"
        else:
            yield line


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("\n".join(page(self.server.began)) + "\n").encode()
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # the scraper's time was over: then it comes again

    def log_message(self, *_):
        pass


for _ in range(int(sys.argv[1])):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.began = time.time()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
signal.pause()
