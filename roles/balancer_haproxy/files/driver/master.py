"""Talks to HAProxy's master at the socket of Debian's unit.

The master passes commands on to the worker (`@!<pid>`), so no `stats socket` is needed.
Commands and columns: HAProxy's management guide, sections 9.3 and 9.4.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from evenkeel.host.errors import BalancerDown, BalancerError
from evenkeel.host.system.driver import Worker, started_at

SOCKET = "/run/haproxy-master.sock"
SOCKET_SECONDS = 10.0
# `show stat` of 100,000 servers is about 40 MB.
LARGEST_ANSWER_BYTES = 128 * 1024 * 1024
# Looking more often only takes the master's time.
LOOK_SECONDS = 0.01
# Failed looks in a row until the master counts as gone.
LOOKS_UNTIL_GONE = 20
# Commands per connection: they share a buffer of 16 kB.
COMMANDS_AT_ONCE = 50

_MASTER = r"(?m)^(\d+)\s+master\s+(\d+)(?:\s+\[failed:\s*(\d+)\])?\s+\S+\s+(\S+)"
_WORKER = r"(?m)^(\d+)\s+worker\s+(\d+)\s"
_TABLE = r"(?m)^# table: (\S+), type: integer, size:(\d+)"
_VALUE = r"value=<(\d+)>"
_NAME = r"[A-Za-z0-9_.:-]{1,256}"


class Processes(NamedTuple):
    """The answer to `show proc`. `workers` are those of the current generation, newest first.

    `leaving` counts workers that a reload replaced and that still have connections.
    """

    master: int
    reloads: int
    failed: int
    version: str
    workers: List[int]
    leaving: int


class Master:
    """HAProxy's master process. `version` is from its last answer; empty before."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self.version = ""

    def ask(self, command: str, timeout_seconds: float = SOCKET_SECONDS) -> str:
        """Send one line to the master and give its answer."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_seconds)
            connection.connect(self._path)
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            size = 0
            parts: List[bytes] = []
            while size <= LARGEST_ANSWER_BYTES:
                data = connection.recv(262144)
                if not data:
                    return b"".join(parts).decode("utf-8", "replace")
                parts.append(data)
                size += len(data)
        except socket.timeout:
            raise BalancerError(f"the master did not answer in {timeout_seconds:g} s") from None
        except OSError as error:
            raise BalancerDown(f"the master cannot be reached ({error.strerror})") from None
        finally:
            connection.close()
        raise BalancerError("the master's answer is too large")

    def settled(self, timeout_seconds: float) -> Processes:
        """Ask for the processes until the master answers; it does not while it reloads."""
        until = time.monotonic() + timeout_seconds
        gone = 0
        while True:
            try:
                left = max(0.1, min(SOCKET_SECONDS, until - time.monotonic()))
                found = _processes(self.ask("show proc", left))
                if found is not None:
                    self.version = found.version
                    return found
            except BalancerDown:
                # A master that restarts itself empties its pid file.
                gone = 0 if self._may_come_back() else gone + 1
                if gone >= LOOKS_UNTIL_GONE:
                    raise
            if time.monotonic() >= until:
                raise BalancerDown("the master does not answer")
            time.sleep(LOOK_SECONDS)

    def _may_come_back(self) -> bool:
        """Whether a silent master is reloading, and not gone."""
        try:
            with open("/run/haproxy.pid", encoding="ascii") as file:
                pid = int(file.read(32).split()[0])
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                return file.read(32).startswith("haproxy")
        except (OSError, ValueError, IndexError):
            return False

    def with_a_worker(self) -> Processes:
        """Give the processes. Raises BalancerDown when no worker is among them."""
        processes = self.settled(SOCKET_SECONDS)
        if not processes.workers:
            raise BalancerDown("the master has no worker")
        return processes

    def worker(self) -> int:
        """Give the process that serves. Raises BalancerDown when there is none."""
        return self.with_a_worker().workers[0]

    def statistics(self, pid: int) -> Iterator[Dict[str, str]]:
        """Give the rows of backends (type 1) and servers (type 2)."""
        text = self.ask(f"@!{pid} show stat -1 6 -1")
        lines = iter(text.splitlines())
        for line in lines:
            if line.startswith("# pxname,"):
                names = line[2:].split(",")
                break
        else:
            raise BalancerError("the worker gave no statistics")
        for line in lines:
            cells = line.split(",", len(names))
            if len(cells) >= len(names) - 1:
                yield dict(zip(names, cells))  # noqa: B905 - not in Python 3.8

    def servers_state(self, pid: int) -> Iterator[Dict[str, str]]:
        """Give the servers of worker `pid`, with the columns of `show servers state`."""
        names: List[str] = []
        for line in self.ask(f"@!{pid} show servers state").splitlines():
            if line.startswith("# "):
                names = line[2:].split()
            elif names and line.strip():
                yield dict(zip(names, line.split()))  # noqa: B905 - not in Python 3.8

    def tables(self, pid: int) -> Dict[str, int]:
        """Give {pool: size} of the stick tables whose keys are integers."""
        return {
            name: int(size) for name, size in re.findall(_TABLE, self.ask(f"@!{pid} show table"))
        }

    def variable(self, pid: int, name: str) -> Optional[int]:
        """Give the value of a counter of counter_lines.py; None without it."""
        found = re.search(_VALUE, self.ask(f"@!{pid} get var proc.evenkeel_{name}"))
        return int(found.group(1)) if found else None

    def set_server(self, pid: int, pool: str, server: str, order: str) -> None:
        """Give worker `pid` one command for a server. Raises BalancerError when it refuses."""
        if not (re.fullmatch(_NAME, pool) and re.fullmatch(_NAME, server)):
            raise BalancerError("no such server")
        said = self.ask(f"@!{pid} set server {pool}/{server} {order}").strip()
        if said:
            raise BalancerError(f"{pool}/{server}: {said[:200]}")

    def tell(self, pid: int, orders: List[Tuple[str, str]]) -> List[str]:
        """Give worker `pid` each (pool/server, command); give the refused `pool/server`."""
        refused = []
        for at in range(0, len(orders), COMMANDS_AT_ONCE):
            batch = orders[at : at + COMMANDS_AT_ONCE]
            line = ";".join(f"@!{pid} set server {name} {order}" for name, order in batch)
            if self.ask(line).strip():
                refused += [name for name, order in batch if not self._set_one(pid, name, order)]
        return sorted(set(refused))

    def _set_one(self, pid: int, name: str, order: str) -> bool:
        return not self.ask(f"@!{pid} set server {name} {order}").strip()


def _processes(answer: str) -> Optional[Processes]:
    """Read `show proc`; None for an answer that a reload cut short."""
    master = re.search(_MASTER, answer)
    if master is None or "# programs" not in answer:
        return None
    current, _, rest = answer.partition("# old workers")
    workers = [int(found.group(1)) for found in re.finditer(_WORKER, current)]
    pid, reloads, failed, version = master.groups()
    leaving = len(re.findall(_WORKER, rest.partition("# programs")[0]))
    return Processes(int(pid), int(reloads), int(failed or 0), version, workers, leaving)


def identity(processes: Processes) -> Worker:
    """Give what identifies a worker and a run of the service."""
    worker = processes.workers[0]
    return {
        "worker_pid": worker,
        "worker_started": started_at(worker),
        # A reload keeps the master; a dead worker ends it.
        "service_started": started_at(processes.master),
        "leaving": processes.leaving,
    }
