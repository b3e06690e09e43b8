# SPDX-License-Identifier: Apache-2.0
#
# shop.py: a server named `shop` at 127.0.0.1:8080 with a queue of 2 + 1, and clients that come all the time and stay.
# Reads orders, a line each, and answers with the same line when it is done: `rush` sends clients, `accept` accepts
# them all and goes on doing so, `quiet` stops sending, `close` closes the listener. Called by tests/prometheus/live.sh.
import errno
import selectors
import socket
import sys

pathname = "/proc/self/comm"
with open(pathname, "w", encoding="ascii") as comm:
    comm.write("shop")

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 8080))
listener.listen(2)
listener.setblocking(False)

selector = selectors.DefaultSelector()
selector.register(sys.stdin, selectors.EVENT_READ)
clients, accepted = [], []
rushing = accepting = False
print("listening", flush=True)
while True:
    for key, _ in selector.select(0.02):
        if key.fileobj is not sys.stdin:
            continue
        order = sys.stdin.readline().strip()
        if not order:
            sys.exit()
        rushing = order == "rush" or (rushing and order != "quiet")
        accepting = order == "accept" or accepting
        if order == "quiet":  # what still knocks, knocks no more
            for client in clients:
                client.close()
            clients.clear()
        if order == "close":
            listener.close()
            accepting = False
        print(order, flush=True)
    if rushing and len(clients) < 800:
        client = socket.socket()
        client.setblocking(False)
        if client.connect_ex(("127.0.0.1", 8080)) in (0, errno.EINPROGRESS):
            clients.append(client)
    while accepting:
        try:
            accepted.append(listener.accept()[0])
        except BlockingIOError:
            break
