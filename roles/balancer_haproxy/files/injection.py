"""Faults that only HAProxy can have; `scripts/faults` injects them on hosts of the lab."""

from __future__ import annotations

# A proxy before the master's socket that loses the first N reloads.
# It answers them as HAProxy 2.6 does: it closes the connection.
# SIGTERM removes it without a trace.
IGNORE_RELOADS = """
import os, signal, socket, sys, threading

PATH = "/run/haproxy-master.sock"
ASIDE = PATH + ".aside"
left = int(sys.argv[1])
os.rename(PATH, ASIDE)
server = socket.socket(socket.AF_UNIX)
server.bind(PATH)
server.listen(64)
own = os.stat(PATH).st_ino


def end(*_):
    if os.stat(PATH).st_ino == own:
        os.rename(ASIDE, PATH)
    else:
        os.unlink(ASIDE)
    os._exit(0)


def all_of(connection):
    parts = []
    while True:
        data = connection.recv(262144)
        if not data:
            return b"".join(parts)
        parts.append(data)


def serve(connection):
    global left
    with connection:
        request = all_of(connection)
        if request.strip() == b"reload" and left > 0:
            left -= 1
            return
        with socket.socket(socket.AF_UNIX) as master:
            try:
                master.connect(ASIDE)
                master.sendall(request)
                master.shutdown(socket.SHUT_WR)
                connection.sendall(all_of(master))
            except OSError:
                # A master that restarts itself does not answer.
                return


signal.signal(signal.SIGTERM, end)
print("in place", flush=True)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""

# Input of `restore_runtime_state`: a server with half its weight.
REWEIGHED = {"weight": 50}
