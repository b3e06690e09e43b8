# SPDX-License-Identifier: Apache-2.0
#
# shops.py NAMESPACE...: a server at 127.0.0.1:8080 of each network namespace, with a queue of 2 + 1, and at the order
# `rush` clients: exactly 6 SYNs are refused in the first namespace, 7 in the second, and so on. They are closed
# before they come a second time. Answers each order when it is done. Called by tests/prometheus/fleet.sh.
import ctypes
import errno
import os
import socket
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PLACES = 3


def enter(name):
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY)
    if LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns({name})")
    os.close(fd)


shops = []
for name in sys.argv[1:]:
    enter(name)
    shop = socket.socket()
    shop.bind(("127.0.0.1", 8080))
    shop.listen(PLACES - 1)
    shops.append(shop)
print("listening", flush=True)

stay = []
for order in sys.stdin:
    if order.strip() == "rush":
        for index, name in enumerate(sys.argv[1:]):
            enter(name)
            began = time.monotonic()
            clients = []
            for _ in range(PLACES + 6 + index):
                client = socket.socket()
                client.setblocking(False)
                if client.connect_ex(("127.0.0.1", 8080)) not in (0, errno.EINPROGRESS):
                    sys.exit("a client can't connect")
                clients.append(client)
            stay += clients[:PLACES]
            for client in clients[PLACES:]:
                client.close()
            if time.monotonic() - began > 0.9:
                sys.exit(f"{name}: too slow, SYNs were sent again")
    print(order.strip(), flush=True)
