"""How HAProxy alone can be made to misbehave; `scripts/faults` does so on hosts of the lab.

Standard library only, Python 3.8 syntax: the programs run on a host.
"""

from __future__ import annotations

# Stands between the master and whoever speaks to it, and loses the first N requests to reload as
# HAProxy 2.6 answers one that works: it closes without a word. Prints a line when it is in place,
# and leaves no trace when it is told to end.
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


def whole(connection):
    parts = []
    while True:
        data = connection.recv(262144)
        if not data:
            return b"".join(parts)
        parts.append(data)


def serve(connection):
    global left
    with connection:
        asked = whole(connection)
        if asked.strip() == b"reload" and left > 0:
            left -= 1
            return
        with socket.socket(socket.AF_UNIX) as master:
            try:
                master.connect(ASIDE)
                master.sendall(asked)
                master.shutdown(socket.SHUT_WR)
                connection.sendall(whole(master))
            except OSError:
                # A master that loads itself anew answers nobody.
                return


signal.signal(signal.SIGTERM, end)
print("in place", flush=True)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""

# The state that `restore_runtime_state` takes, for a server that was given half its weight.
REWEIGHED = {"weight": 50}
