"""Steady client traffic through every balancer; every answer and every failed request is counted.

This file is run by itself on the lab's client machine, with the python3 that is there. It sends a
fixed number of requests a second to each balancer, some on connections that are kept, some on new
ones, and ends by itself. Its totals can be read at any time over HTTP.

A kept connection may be closed by the balancer while it is idle; a request that meets this got no
byte of an answer, and like a browser the client sends it once more on a new connection. These are
counted as `retried`. Everything else that is not a whole answer is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONTROL_PORT = 9100
# Of eight requests, six go over kept connections.
_WORKERS, _NEW_CONNECTION_WORKERS = 8, 2
_REQUESTS_PER_CONNECTION = 50
_TIMEOUT_SECONDS = 10.0
_LARGEST_RATE = 500
_LONGEST_SECONDS = 4 * 3600.0
_SAMPLES = 50
_PATHS = ("/", "/api/items", "/", "/api/items/7?page=2")
# What a closed connection looks like before the first byte of an answer.
_CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)


class Totals:
    """What was counted so far; safe to use from many threads."""

    def __init__(self, balancers: list[str]) -> None:
        self._lock = threading.Lock()
        self._started = time.time()
        self._ended = 0.0
        self._all: Counter[str] = Counter()
        self._balancers: dict[str, Counter[str]] = {name: Counter() for name in balancers}
        self._servers: dict[str, Counter[str]] = {name: Counter() for name in balancers}
        self._reasons: Counter[str] = Counter()
        self._samples: list[dict[str, Any]] = []
        self._slowest = 0.0

    def answered(self, balancer: str, server: str, seconds: float) -> None:
        """Count a whole answer."""
        with self._lock:
            self._count(balancer, "requests")
            self._servers[balancer][server] += 1
            self._slowest = max(self._slowest, seconds)

    def failed(self, balancer: str, path: str, reason: str) -> None:
        """Count a request without a whole answer; keep when and why for the first ones."""
        with self._lock:
            self._count(balancer, "requests")
            self._count(balancer, "failed")
            self._reasons[reason] += 1
            if len(self._samples) < _SAMPLES:
                at = round(time.time(), 3)
                sample = {"at": at, "balancer": balancer, "path": path, "reason": reason}
                self._samples.append(sample)

    def note(self, balancer: str, what: str) -> None:
        """Count what is no request of its own: `retried` or `skipped`."""
        with self._lock:
            self._count(balancer, what)

    def end(self) -> None:
        """Note that nothing more is sent."""
        with self._lock:
            self._ended = time.time()

    def read(self) -> dict[str, Any]:
        """Give all totals at this moment, as they are written to JSON."""
        with self._lock:
            return {
                "running": not self._ended,
                "seconds": round((self._ended or time.time()) - self._started, 3),
                "at": round(time.time(), 3),
                **_counts(self._all),
                "balancers": {
                    name: {**_counts(counter), "servers": dict(sorted(self._servers[name].items()))}
                    for name, counter in self._balancers.items()
                },
                "reasons": dict(self._reasons),
                "samples": list(self._samples),
                "slowest_seconds": round(self._slowest, 3),
            }

    def _count(self, balancer: str, what: str) -> None:
        self._all[what] += 1
        self._balancers[balancer][what] += 1


def _counts(counter: Counter[str]) -> dict[str, int]:
    return {name: counter[name] for name in ("requests", "failed", "retried", "skipped")}


class Worker(threading.Thread):
    """One client of one balancer: sends a request every `period` seconds, one after the other."""

    def __init__(
        self,
        totals: Totals,
        over: threading.Event,
        balancer: tuple[str, str],
        *,
        period: float,
        phase: float,
        keeps: bool,
    ) -> None:
        super().__init__(daemon=True)
        self._totals, self._over = totals, over
        self._balancer, self._address = balancer
        self._period, self._phase, self._keeps = period, phase, keeps
        self._connection: http.client.HTTPConnection | None = None
        self._sent = 0

    def run(self) -> None:
        """Send until told to stop."""
        due = time.monotonic() + self._phase
        paths = itertools.cycle(_PATHS)
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self.send(next(paths))
            due += self._period
            # After a stall the rate is kept, not made up for: a burst is no steady traffic.
            while due < time.monotonic() - self._period:
                due += self._period
                self._totals.note(self._balancer, "skipped")
        self._close()

    def send(self, path: str) -> None:
        """Send one request and count what becomes of it."""
        started = time.monotonic()
        try:
            server = self._ask(path)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._close()
            # Said first by the kind, since the text of some holds what differs each time.
            self._totals.failed(self._balancer, path, f"{type(error).__name__}: {error}"[:160])
        else:
            self._totals.answered(self._balancer, server, time.monotonic() - started)

    def _ask(self, path: str) -> str:
        kept = self._connection is not None
        try:
            response = self._request(path)
        except _CLOSED:
            if not kept:
                raise
            self._totals.note(self._balancer, "retried")
            self._close()
            response = self._request(path)
        response.read()
        server = response.getheader("X-Served-By")
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        if not server:
            raise ValueError("an answer that is not from a web server")
        self._sent += 1
        if response.will_close or not self._keeps or self._sent >= _REQUESTS_PER_CONNECTION:
            self._close()
        return server

    def _request(self, path: str) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_SECONDS)
            self._sent = 0
        headers = {"Host": "shop.example"} | ({} if self._keeps else {"Connection": "close"})
        self._connection.request("GET", path, headers=headers)
        return self._connection.getresponse()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def start_workers(
    totals: Totals, stop: threading.Event, balancers: dict[str, str], rate: float
) -> list[Worker]:
    """Start the clients that together send `rate` requests a second to each balancer."""
    period = _WORKERS / rate
    workers = [
        Worker(
            totals,
            stop,
            balancer,
            period=period,
            phase=period * (number / _WORKERS + order / (_WORKERS * len(balancers))),
            keeps=number >= _NEW_CONNECTION_WORKERS,
        )
        for order, balancer in enumerate(balancers.items())
        for number in range(_WORKERS)
    ]
    for worker in workers:
        worker.start()
    return workers


def serve(totals: Totals, address: str, port: int) -> ThreadingHTTPServer:
    """Let the totals be read over HTTP, whatever the path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(totals.read()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Readers are not logged."""

    server = ThreadingHTTPServer((address, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def tell_systemd(message: str) -> None:
    """Tell the service manager that started this, if one did."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(message.encode(), path.replace("@", "\0", 1))


def progress(totals: Totals, stop: threading.Event, path: Path, seconds: float) -> None:
    """Write one line of totals each second until told to stop or the time is over."""
    ends = time.monotonic() + seconds
    with path.open("w", encoding="utf-8") as lines:
        while not stop.wait(min(1.0, max(0.0, ends - time.monotonic()))):
            now = totals.read()
            for name in ("samples", "reasons"):
                del now[name]
            lines.write(json.dumps(now) + "\n")
            lines.flush()
            if time.monotonic() >= ends:
                return


def main() -> None:
    """Send until SIGTERM or until the time is over; then write the last totals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rate", type=float, required=True, help="requests a second, each balancer"
    )
    parser.add_argument("--seconds", type=float, required=True, help="end by itself after these")
    parser.add_argument("--folder", type=Path, required=True, help="for progress and last totals")
    parser.add_argument("--control", required=True, help="the address to read totals at")
    parser.add_argument("balancers", nargs="+", metavar="NAME=ADDRESS")
    given = parser.parse_args()
    balancers = dict(pair.split("=", 1) for pair in given.balancers)
    totals, stop = Totals(list(balancers)), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = serve(totals, given.control, CONTROL_PORT)
    workers = start_workers(totals, stop, balancers, min(max(given.rate, 1), _LARGEST_RATE))
    tell_systemd("READY=1")
    seconds = min(given.seconds, _LONGEST_SECONDS)
    progress(totals, stop, given.folder / "progress.jsonl", seconds)
    stop.set()
    for worker in workers:
        # A request that is under way is still counted.
        worker.join(_TIMEOUT_SECONDS + 1)
    totals.end()
    fresh = given.folder / "totals.new"
    fresh.write_text(json.dumps(totals.read()) + "\n", encoding="utf-8")
    fresh.replace(given.folder / "totals.json")
    with contextlib.suppress(OSError):
        server.shutdown()


if __name__ == "__main__":
    main()
