"""HAProxy on its host, reached only through the master socket of Debian's unit.

The configuration needs no `stats socket`: the master passes commands on to the worker (`@!<pid>`).
Commands and columns: HAProxy's management guide, sections 9.3 and 9.4.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from evenkeel.host import durable, process
from evenkeel.host.driver import (
    EVERY_ADDRESS,
    Check,
    Driver,
    Observation,
    started_at,
    try_to_listen,
)
from evenkeel.host.faults import BalancerDown, BalancerFault

SOCKET = "/run/haproxy-master.sock"
SOCKET_SECONDS = 10.0
# What a new worker is told of servers that were drained or weighted by hand, so that it knows it
# before its first request. Empty but for the moment of a reload.
STATE_FILE = "/var/lib/evenkeel/haproxy.servers"
# What a process has open beside its connections: listeners, health checks, timers, pipes.
OTHER_DESCRIPTORS = 2000
LEAST_CONNECTIONS = 500
REHEARSAL_OPTIONS = "/run/systemd/system/haproxy.service.d/rehearsal.conf"
# `show stat` of 100,000 servers is about 40 MB.
LARGEST_ANSWER_BYTES = 128 * 1024 * 1024
CHECK_SECONDS = 120.0
LARGEST_CHECK_OUTPUT = 4000
# The master reads and forks between two looks; shorter looks only take its time.
LOOK_SECONDS = 0.01
# So many looks in a row without a master: it is gone.
LOOKS_UNTIL_GONE = 20
# Commands sent over one connection: they share a buffer of 16 kB in HAProxy.
COMMANDS_AT_ONCE = 50

# A table of clients that the role's own lines make is no larger (counting.py).
MOST_CLIENTS = 32768
_TABLE = re.compile(r"^# table: (\S+), type: integer, size:(\d+)", re.M)
_ENTRY = re.compile(r"\bserver_id=(\d+)")
_VALUE = re.compile(r"value=<(\d+)>")
_COUNTS_CLIENTS = re.compile(r"\s+stick store-request \S+,xxh32\s*")
_COUNTS_TIMES = re.compile(r"\s+http-response set-var\(proc\.evenkeel_slow_(\d{1,6})\) .*")

# srv_admin_state of `show servers state` (include/haproxy/server-t.h).
FORCED_MAINTENANCE = 0x01
CONFIGURED_MAINTENANCE = 0x04
FORCED_DRAIN = 0x08

_MASTER = re.compile(r"^(\d+)\s+master\s+(\d+)(?:\s+\[failed:\s*(\d+)\])?\s+\S+\s+(\S+)", re.M)
_WORKER = re.compile(r"^(\d+)\s+worker\s+(\d+)\s", re.M)
_NOISE = re.compile(
    r"^\[NOTICE\]|^Configuration file is valid|^Warnings were found"
    r"|Can't open global server state file"
)
_BIND = re.compile(r"(?:ipv[46]@)?(\*|[0-9.]*|\[?[0-9a-fA-F:.]*\]?):(\d{1,5})")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,256}")
_SECRET = re.compile(r"(?i)(password|passwd|secret|auth|token)(\S*\s+)\S+")

# What a release may hold. `haproxy -c` and the reload read it as root, and the configuration came
# from the deploy user, who is not root. HAProxy runs code while it reads (`lua-load`), can be made
# to stay root, opens any file that it is told to, and shows lines of it in its errors (`acl x src
# -f /etc/shadow`). So HAProxy is only started on a release of which every line starts with a
# directive that is known to do none of this, and whose files are where such files belong.
#
# Allowed: the directives below; `chroot`, `user` and `group` as Debian has them, which must be
# there; the state file that the driver writes; `setenv` and `presetenv` of EVENKEEL and EVENKEEL_*;
# sockets below /run/haproxy; files of TLS below /etc/haproxy, /etc/ssl and /etc/letsencrypt; pages
# (`errorfile`, `return ... file`) below /etc/haproxy/errors and /etc/haproxy/pages; lists and maps
# (`-f`, `map()`, `crt-list`) below /etc/haproxy/lists and /etc/haproxy/maps. Pages and lists can be
# read from outside, so they have folders of their own, where no key lies.
#
# Not allowed, beside every other directive: `"$VARIABLE"`, `.if` and the like, quotes or escapes in
# a directive's name, control characters. A takeover reads what root has written, and is not held to
# any of this.
IDENTITY = {"chroot": "/var/lib/haproxy", "user": "haproxy", "group": "haproxy"}
SOCKETS = ("/run/haproxy/",)
LOG_SOCKETS = ("/dev/log", "/run/haproxy/", "/var/lib/haproxy/dev/log")
TLS_FILES = ("/etc/haproxy/", "/etc/ssl/", "/etc/letsencrypt/")
PAGES = ("/etc/haproxy/errors/", "/etc/haproxy/pages/")
LISTS = ("/etc/haproxy/lists/", "/etc/haproxy/maps/")

_GLOBAL = """
    busy-polling chroot close-spread-time cpu-map daemon description fd-hard-limit grace group
    h1-case-adjust hard-stop-after http-err-codes http-fail-codes issuers-chain-path ca-base
    crt-base localpeer log log-send-hostname log-tag max-spread-checks maxcompcpuusage maxcomprate
    maxconn maxconnrate maxpipes maxsessrate maxsslconn maxsslrate maxzlibmem mworker-max-reloads
    nbthread no-memory-trimming node noepoll noevports nogetaddrinfo nokqueue nopoll noreuseport
    nosplice numa-cpu-mapping pp2-never-send-local presetenv profiling.memory profiling.tasks
    server-state-file
    set-var set-var-fmt setenv spread-checks ssl-default-bind-ciphers ssl-default-bind-ciphersuites
    ssl-default-bind-client-sigalgs ssl-default-bind-curves ssl-default-bind-options
    ssl-default-bind-sigalgs ssl-default-server-ciphers ssl-default-server-ciphersuites
    ssl-default-server-client-sigalgs ssl-default-server-curves ssl-default-server-options
    ssl-default-server-sigalgs ssl-dh-param-file ssl-load-extra-del-ext ssl-load-extra-files
    ssl-mode-async ssl-server-verify ssl-skip-self-issued-ca stats strict-limits thread-group
    thread-groups ulimit-n user zero-warning
"""
_PROXY = """
    acl backlog balance bind capture clitcpka-cnt clitcpka-idle clitcpka-intvl compression cookie
    declare default-server default_backend description disabled dispatch email-alert enabled
    error-log-format errorfile errorfiles errorloc errorloc302 errorloc303 filter force-persist
    fullconn guid hash-balance-factor hash-preserve-affinity hash-type http-after-response
    http-check http-error http-request http-response http-reuse http-send-name-header id
    ignore-persist log log-format log-format-sd log-steps log-tag max-keep-alive-queue
    load-server-state-from-file
    max-session-srv-conns maxconn mode monitor monitor-net monitor-uri option persist rate-limit
    redirect retries retry-on server server-template source srvtcpka-cnt srvtcpka-idle
    srvtcpka-intvl stats stick stick-table tcp-check tcp-request tcp-response timeout transparent
    unique-id-format unique-id-header use-fcgi-app use-server use_backend
"""
_DIRECTIVES = {
    "global": _GLOBAL,
    "defaults": _PROXY,
    "frontend": _PROXY,
    "backend": _PROXY,
    "listen": _PROXY,
    "peers": "bind default-bind default-server disabled enabled log peer server shards table",
    "mailers": "mailer timeout",
    "resolvers": "accepted_payload_size hold nameserver parse-resolv-conf resolve_retries timeout",
    "userlist": "group user",
    "cache": "max-age max-object-size max-secondary-entries process-vary total-max-size",
    "http-errors": "errorfile",
    "ring": "description format maxlen server size timeout",
    "log-forward": "backlog bind dgram-bind log maxconn option timeout",
    "fcgi-app": "acl docroot index log-stderr option pass-header path-info set-param",
}
_ALLOWED = {section: frozenset(text.split()) for section, text in _DIRECTIVES.items()}
_FILTERS = ("bwlim-in", "bwlim-out", "cache", "compression", "fcgi-app")
# The words after which bind and server lines name a file, and where that may be.
_FILE_WORDS = dict.fromkeys(
    ("ca-file", "ca-sign-file", "ca-verify-file", "crl-file", "crt", "tls-ticket-keys"), TLS_FILES
)
_FILE_WORDS["crt-list"] = LISTS
_PLACES = (
    *("bind", "default-bind", "default-server", "dgram-bind"),
    *("peer", "server", "server-template", "stats"),
)
_ANSWERS = ("file", "lf-file", "errorfile")
_CALL = re.compile(r"(?:\bmap(?:_\w+)?|\b(?:add|del)-acl|\bjwt_verify|\benv)\(")
_PATH = re.compile(r"(?:/[A-Za-z0-9_@+*-][A-Za-z0-9_.@+*-]*)+/?")
_RELATIVE = re.compile(r"@?[A-Za-z0-9_][A-Za-z0-9_.@+*-]*(?:/[A-Za-z0-9_@+*-][A-Za-z0-9_.@+*-]*)*")
_ADDRESS = re.compile(r"(?:(?:ipv[46]|udp[46]?|quic[46]|abns)@)?[A-Za-z0-9_.:*%\[\]-]*")
_VARIABLE = re.compile(r"EVENKEEL(?:_[A-Z0-9_]*)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_MOST_FAULTS = 10


class Processes(NamedTuple):
    """What `show proc` says. `workers` are those of this generation, newest reload first.

    `leaving` counts workers that a reload replaced and that still have connections.
    """

    master: int
    reloads: int
    failed: int
    version: str
    workers: List[int]
    leaving: int


class HAProxy(Driver):
    """The driver of the role balancer_haproxy."""

    KIND = "haproxy"
    UNIT = "haproxy.service"
    NATIVE_PATHS = {"haproxy.cfg": "/etc/haproxy/haproxy.cfg"}  # noqa: RUF012 - constant
    CAPABILITIES = {  # noqa: RUF012 - constant
        "reload_proof": True,
        "request_counts": True,
        "error_counts": True,
        "server_state": True,
        "drain": True,
        "runtime_state": True,
        "tcp": True,
        "tls": True,
        "stickiness": True,
        "health_checks": True,
    }

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._version = ""

    def version(self) -> str:
        """Give the running version, or that of the installed program when none runs."""
        if not self._version:
            try:
                self._version = self._settled(2.0).version
            except BalancerFault:
                said = process.run(["haproxy", "-v"], 10.0)[1]
                found = re.search(r"version (\S+)", said)
                self._version = found.group(1) if found else "unknown"
        return self._version

    def forbidden(self, release_dir: str) -> List[str]:
        """Say which lines of the release this driver does not let HAProxy read as root."""
        return forbidden(_text(os.path.join(release_dir, "haproxy.cfg")))

    def check(self, release_dir: str) -> Check:
        """Run `haproxy -c` on a release without forbidden lines.

        Its words come back without secrets, and without anything from other files.
        """
        path = os.path.join(release_dir, "haproxy.cfg")
        text = _text(path)
        faults = forbidden(text)
        if faults:
            return Check(False, "; ".join(faults)[:LARGEST_CHECK_OUTPUT])
        if not os.path.exists(STATE_FILE):
            # HAProxy warns of a state file that is not there, and some demand no warnings.
            _write_states([])
        code, said = process.run(["haproxy", "-c", "-f", path], CHECK_SECONDS, release_dir)
        lines = [line for line in said.splitlines() if not _NOISE.search(line)]
        said = own_words("\n".join(lines).replace(path, "haproxy.cfg"), text)
        if code == 0:
            faults = _unbindable(path, self.NATIVE_PATHS["haproxy.cfg"])
            if faults:
                return Check(False, "; ".join(faults)[:LARGEST_CHECK_OUTPUT])
        return Check(code == 0, said[:LARGEST_CHECK_OUTPUT])

    def certificates(self, release_dir: str) -> List[str]:
        """Give what `crt` names on the lines bind and server, with `crt-base` before it."""
        base, found = "", []
        for line in _text(os.path.join(release_dir, "haproxy.cfg")).splitlines():
            parts = line.split()
            if parts[:1] == ["crt-base"] and len(parts) > 1:
                base = parts[1]
            elif parts[:1] in (["bind"], ["server"], ["default-server"]):
                places = [at + 1 for at, word in enumerate(parts[:-1]) if word == "crt"]
                found += [parts[at] for at in places]
        return [os.path.join(base, path.strip("'\"")) for path in found]

    def native_check(self, folder: str) -> Tuple[int, str]:
        """Run `haproxy -c` alone; give its exit code and its words."""
        path = os.path.join(folder, "haproxy.cfg")
        return process.run(["haproxy", "-c", "-f", path], CHECK_SECONDS, folder)

    def fit(self, folders: List[str], descriptors: int) -> bool:
        """Bound the connections on the command line, which goes before maxconn (haproxy -n)."""
        wanted = max((_most_connections(f"{one}/haproxy.cfg") for one in folders), default=0)
        fits = 2 * wanted + OTHER_DESCRIPTORS <= descriptors
        if fits and not os.path.exists(REHEARSAL_OPTIONS):
            return False
        most = max(LEAST_CONNECTIONS, (descriptors - OTHER_DESCRIPTORS) // 2)
        options = f"-S {SOCKET}" + ("" if fits else f" -n {most}")
        os.makedirs(os.path.dirname(REHEARSAL_OPTIONS), exist_ok=True)
        with open(REHEARSAL_OPTIONS, "w", encoding="utf-8") as file:
            file.write(f'[Service]\nEnvironment="EXTRAOPTS={options}"\n')
        process.run(["systemctl", "daemon-reload"], CHECK_SECONDS)
        return not fits

    def reload(self, timeout_seconds: float) -> Dict[str, Any]:
        """Reload and wait until the master has settled with a new worker and no failed reload."""
        until = time.monotonic() + timeout_seconds
        began, began_wall = time.monotonic(), time.time()
        before = self._settled(timeout_seconds)
        self._write_state(before)
        try:
            self._ask_for_reload(until)
            after = self._new_worker(before, until, began_wall)
        finally:
            _write_states([])
        worker = after.workers[0]
        return {
            "worker_pid": worker,
            "worker_started": started_at(worker),
            "reloads": after.reloads,
            "seconds": round(time.monotonic() - began, 3),
        }

    def _new_worker(self, before: Processes, until: float, began_wall: float) -> Processes:
        """Wait for the worker that a reload started. Raises BalancerFault when none comes."""
        began = time.monotonic()
        while True:
            after = self._settled(max(0.1, until - time.monotonic()))
            if after.failed:
                raise BalancerFault(
                    "the new configuration was not loaded, and the worker before it still serves: "
                    + _said_since(began_wall, self.UNIT, self.NATIVE_PATHS["haproxy.cfg"])
                )
            if after.reloads > before.reloads and after.workers != before.workers:
                return after
            if time.monotonic() >= until:
                raise BalancerFault(f"no new worker within {until - began:.0f} s of the reload")
            time.sleep(LOOK_SECONDS)

    def _write_state(self, before: Processes) -> None:
        """Write down for the next worker which servers were drained or weighted at run time.

        Whatever goes wrong here is no reason not to reload: `restore_runtime_state` comes after.
        """
        try:
            text = _text(self.NATIVE_PATHS["haproxy.cfg"])
            rows = self._servers_state(before.workers[0]) if before.workers else ()
            _write_states(states_for(text.splitlines(), rows))
        except (BalancerFault, OSError, ValueError, KeyError):
            _write_states([])

    def _ask_for_reload(self, until: float) -> None:
        """Send `reload`. From 2.7 the answer says whether it worked; 2.6 closes without a word."""
        while True:
            try:
                answer = self._ask("reload", max(1.0, until - time.monotonic()))
            except BalancerDown:
                # The master is about to execute itself anew: `show proc` will tell.
                return
            if "Success=0" not in answer:
                return
            if "Another reload" not in answer:
                said = _last_words(answer, _text(self.NATIVE_PATHS["haproxy.cfg"]))
                raise BalancerFault("the new configuration was not loaded: " + said)
            if time.monotonic() >= until:
                raise BalancerFault("another reload did not end in time")
            time.sleep(LOOK_SECONDS * 5)

    def loaded(self) -> Dict[str, Any]:
        """Give the worker and the pools and servers that it has."""
        processes = self._processes_with_a_worker()
        pid = processes.workers[0]
        pools: Dict[str, List[str]] = {}
        for row in self._stat(pid):
            servers = pools.setdefault(row["pxname"], [])
            if row["type"] == "2":
                servers.append(row["svname"])
        return {
            **_identity(processes),
            "pools": {pool: sorted(servers) for pool, servers in pools.items()},
        }

    def declared(self, release_dir: str) -> Dict[str, List[str]]:
        """Read the pools and servers of the sections `backend` and `listen`."""
        with open(
            os.path.join(release_dir, "haproxy.cfg"), encoding="utf-8", errors="replace"
        ) as file:
            return declared(file)

    def observe(self) -> Observation:
        """Give what the worker has counted for each server, and the state that each is in.

        Measured on HAProxy 2.6: `lbtot` is how often the algorithm chose the server, so where
        clients stick by cookie it counts those who came without one, each once; `stot` counts
        every request (of tcp, every connection), over however few connections they came. So
        `requests` is `lbtot`, with a cookie `stot`; `clients` is `lbtot` with a cookie, and for a
        hash what the lines of counting.py count. `timed` and `slow` of a pool are theirs too.
        """
        processes = self._processes_with_a_worker()
        pid = processes.workers[0]
        pools: Dict[str, Any] = {}
        ids: Dict[Tuple[str, str], str] = {}
        for row in self._stat(pid):
            pool = pools.setdefault(row["pxname"], {"servers": {}})
            if row["type"] == "2":
                pool["servers"][row["svname"]] = _server(row)
                ids[row["pxname"], row["sid"]] = row["svname"]
            else:
                # Those that wait for whichever server is free first.
                pool["queue"] = _number(row["qcur"])
        self._add_counted(pid, pools, ids)
        return {**_identity(processes), "pools": pools}

    def _add_counted(
        self, pid: int, pools: Dict[str, Any], ids: Dict[Tuple[str, str], str]
    ) -> None:
        """Add what lines of the live configuration count, as far as the worker has them."""
        try:
            text = _text(self.NATIVE_PATHS["haproxy.cfg"])
        except OSError:
            return
        if "stick store-request" not in text and "proc.evenkeel_slow_" not in text:
            return
        tables, timers = counted(text.splitlines())
        sizes = self._tables(pid) if tables else {}
        for pool in tables:
            if pool in pools and 0 < sizes.get(pool, 0) <= MOST_CLIENTS:
                found = dict.fromkeys(pools[pool]["servers"], 0)
                for number in _ENTRY.findall(self._ask(f"@!{pid} show table {pool}")):
                    server = ids.get((pool, number))
                    if server is not None:
                        found[server] += 1
                for server, clients in found.items():
                    pools[pool]["servers"][server]["clients"] = clients
        for pool, number in timers.items():
            counts = [self._variable(pid, f"{word}_{number}") for word in ("timed", "slow")]
            if pool in pools and None not in counts:
                pools[pool].update(timed=counts[0], slow=counts[1])

    def _tables(self, pid: int) -> Dict[str, int]:
        """Give {pool: size} of the stick tables of whole numbers."""
        return {name: int(size) for name, size in _TABLE.findall(self._ask(f"@!{pid} show table"))}

    def _variable(self, pid: int, name: str) -> Optional[int]:
        found = _VALUE.search(self._ask(f"@!{pid} get var proc.evenkeel_{name}"))
        return int(found.group(1)) if found else None

    def listeners(self) -> Dict[str, List[Dict[str, Any]]]:
        """Read the binds of the sections `frontend` and `listen` of the live configuration."""
        return listeners(_text(self.NATIVE_PATHS["haproxy.cfg"]).splitlines())

    def drain(self, pool: str, server: str) -> None:
        """Set the server's state to drain."""
        self._set(self._worker(), pool, server, "state drain")

    def undrain(self, pool: str, server: str) -> None:
        """Set the server's state to ready, and its weight to its own when that was set to 0."""
        pid = self._worker()
        self._set(pid, pool, server, "state ready")
        if any(
            (row["be_name"], row["srv_name"]) == (pool, server) and _is_weighted_out(row)
            for row in self._servers_state(pid)
        ):
            self._set(pid, pool, server, "weight 100%")

    def drained(self) -> Dict[str, Dict[str, str]]:
        """Give the servers that an order at run time has set to drain, to maint or to weight 0."""
        found: Dict[str, Dict[str, str]] = {}
        for row in self._servers_state(self._worker()):
            admin = int(row["srv_admin_state"])
            status = ""
            if admin & FORCED_MAINTENANCE and not admin & CONFIGURED_MAINTENANCE:
                status = "inactive"
            elif admin & FORCED_DRAIN or _is_weighted_out(row):
                status = "draining"
            if status:
                found.setdefault(row["be_name"], {})[row["srv_name"]] = status
        return found

    def runtime_state(self) -> Dict[str, Dict[str, Dict[str, Any]]]:
        """Give the servers whose state or weight differs from the configuration that is loaded."""
        changed: Dict[str, Dict[str, Dict[str, Any]]] = {}
        pid = self._worker()
        for row in self._servers_state(pid):
            state: Dict[str, Any] = {}
            admin = int(row["srv_admin_state"])
            configured = bool(admin & CONFIGURED_MAINTENANCE)
            if admin & FORCED_MAINTENANCE and not configured:
                state["state"] = "maint"
            elif admin & FORCED_DRAIN:
                state["state"] = "drain"
            elif configured and not admin & FORCED_MAINTENANCE:
                state["state"] = "ready"
            if row["srv_uweight"] != row["srv_iweight"]:
                state["weight"] = int(row["srv_uweight"])
            if state:
                changed.setdefault(row["be_name"], {})[row["srv_name"]] = state
        return changed

    def restore_runtime_state(self, state: Dict[str, Dict[str, Dict[str, Any]]]) -> List[str]:
        """Set state and weight again where the server still exists."""
        pid = self._worker()
        present = {(row["be_name"], row["srv_name"]) for row in self._servers_state(pid)}
        orders: List[Tuple[str, str]] = []
        for pool, servers in sorted(state.items()):
            for server, wanted in sorted(servers.items()):
                if (pool, server) in present:
                    orders += [(f"{pool}/{server}", order) for order in _orders(wanted)]
        refused = []
        for at in range(0, len(orders), COMMANDS_AT_ONCE):
            batch = orders[at : at + COMMANDS_AT_ONCE]
            line = ";".join(f"@!{pid} set server {name} {order}" for name, order in batch)
            if self._ask(line).strip():
                refused += [name for name, order in batch if not self._set_one(pid, name, order)]
        return sorted(set(refused))

    def _set_one(self, pid: int, name: str, order: str) -> bool:
        return not self._ask(f"@!{pid} set server {name} {order}").strip()

    def _set(self, pid: int, pool: str, server: str, order: str) -> None:
        if not (_NAME.fullmatch(pool) and _NAME.fullmatch(server)):
            raise BalancerFault("no such server")
        said = self._ask(f"@!{pid} set server {pool}/{server} {order}").strip()
        if said:
            raise BalancerFault(f"{pool}/{server}: {said[:200]}")

    def _worker(self) -> int:
        return self._processes_with_a_worker().workers[0]

    def _processes_with_a_worker(self) -> Processes:
        processes = self._settled(SOCKET_SECONDS)
        if not processes.workers:
            raise BalancerDown("the master has no worker")
        return processes

    def _settled(self, timeout_seconds: float) -> Processes:
        """Ask for the processes until the master answers: while it reloads, it does not."""
        until = time.monotonic() + timeout_seconds
        gone = 0
        while True:
            try:
                left = max(0.1, min(SOCKET_SECONDS, until - time.monotonic()))
                found = _processes(self._ask("show proc", left))
                if found is not None:
                    self._version = found.version
                    return found
            except BalancerDown:
                # A master that loads itself anew leaves its pid file empty for a moment.
                gone = 0 if self._may_come_back() else gone + 1
                if gone >= LOOKS_UNTIL_GONE:
                    raise
            if time.monotonic() >= until:
                raise BalancerDown("the master does not answer")
            time.sleep(LOOK_SECONDS)

    def _may_come_back(self) -> bool:
        """Tell whether a master that does not answer is one that reloads, not one that is gone."""
        try:
            with open("/run/haproxy.pid", encoding="ascii") as file:
                pid = int(file.read(32).split()[0])
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                return file.read(32).startswith("haproxy")
        except (OSError, ValueError, IndexError):
            return False

    def _stat(self, pid: int) -> Iterator[Dict[str, str]]:
        """Give the rows of backends (type 1) and servers (type 2)."""
        text = self._ask(f"@!{pid} show stat -1 6 -1")
        lines = iter(text.splitlines())
        for line in lines:
            if line.startswith("# pxname,"):
                names = line[2:].split(",")
                break
        else:
            raise BalancerFault("the worker gave no statistics")
        for line in lines:
            cells = line.split(",", len(names))
            if len(cells) >= len(names) - 1:
                yield dict(zip(names, cells))  # noqa: B905 - not in Python 3.8

    def _servers_state(self, pid: int) -> Iterator[Dict[str, str]]:
        names: List[str] = []
        for line in self._ask(f"@!{pid} show servers state").splitlines():
            if line.startswith("# "):
                names = line[2:].split()
            elif names and line.strip():
                yield dict(zip(names, line.split()))  # noqa: B905 - not in Python 3.8

    def _ask(self, command: str, timeout_seconds: float = SOCKET_SECONDS) -> str:
        """Send one line to the master and give its answer."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_seconds)
            connection.connect(self._path)
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            parts, size = [], 0
            while size <= LARGEST_ANSWER_BYTES:
                data = connection.recv(262144)
                if not data:
                    return b"".join(parts).decode("utf-8", "replace")
                parts.append(data)
                size += len(data)
        except socket.timeout:
            raise BalancerFault(f"the master did not answer in {timeout_seconds:g} s") from None
        except OSError as error:
            raise BalancerDown(f"the master cannot be reached ({error.strerror})") from None
        finally:
            connection.close()
        raise BalancerFault("the master's answer is too large")


def _most_connections(path: str) -> int:
    """Give what `maxconn` of the section global says, the last one; 0 without a file or a word."""
    try:
        lines = _text(path).splitlines()
    except OSError:
        return 0
    most, section = 0, ""
    for line in lines:
        parts = line.split()
        if parts and parts[0] in _SECTIONS:
            section = parts[0]
        elif section == "global" and parts[:1] == ["maxconn"] and parts[1:2]:
            most = _number(parts[1])
    return most


def _processes(answer: str) -> Optional[Processes]:
    """Read `show proc`; None for an answer that a reload cut short."""
    master = _MASTER.search(answer)
    if master is None or "# programs" not in answer:
        return None
    current, _, rest = answer.partition("# old workers")
    workers = [int(found.group(1)) for found in _WORKER.finditer(current)]
    pid, reloads, failed, version = master.groups()
    leaving = len(_WORKER.findall(rest.partition("# programs")[0]))
    return Processes(int(pid), int(reloads), int(failed or 0), version, workers, leaving)


def _identity(processes: Processes) -> Dict[str, Any]:
    """Give what tells one worker, and one run of the service, from another."""
    worker = processes.workers[0]
    return {
        "worker_pid": worker,
        "worker_started": started_at(worker),
        # A reload keeps the master. When a worker dies the master ends, and systemd starts both.
        "service_started": started_at(processes.master),
        "leaving": processes.leaving,
    }


def _server(row: Dict[str, str]) -> Dict[str, Any]:
    address, _, port = row.get("addr", "").rpartition(":")
    return {
        "address": address,
        "port": int(port) if port.isdigit() else 0,
        "weight": float(row.get("uweight") or row["weight"] or 0),
        "status": _status(row["status"]),
        "backup": row["bck"] == "1",
        "requests": _number(row["stot"] if row.get("cookie") else row["lbtot"]),
        **({"clients": _number(row["lbtot"])} if row.get("cookie") else {}),
        "connections": _number(row["stot"]),
        "open": _number(row["scur"]),
        # Answers of 5xx, connections that failed after every retry, answers that broke off.
        "errors": _number(row["hrsp_5xx"]) + _number(row["econ"]) + _number(row["eresp"]),
        "retries": _number(row["wretr"]) + _number(row["wredis"]),
        "queue": _number(row["qcur"]),
    }


def _status(text: str) -> str:
    """Turn HAProxy's words for a server's state into ours."""
    word = text.split()[0] if text.strip() else ""
    if word in ("UP", "no", "OPEN"):
        return "active"
    if word in ("DRAIN", "NOLB"):
        return "draining"
    return "inactive" if word.startswith("MAINT") else "down"


def counted(lines: Iterable[str]) -> Tuple[Set[str], Dict[str, str]]:
    """Give the pools whose lines count clients, and {pool: number} of those that count times."""
    tables: Set[str] = set()
    timers: Dict[str, str] = {}
    pool = ""
    for line in lines:
        found = line.split(None, 2)
        if found and found[0] in _SECTIONS:
            pool = found[1] if found[0] in ("backend", "listen") and len(found) > 1 else ""
        elif pool and _COUNTS_CLIENTS.fullmatch(line):
            tables.add(pool)
        elif pool:
            times = _COUNTS_TIMES.fullmatch(line)
            if times:
                timers[pool] = times.group(1)
    return tables, timers


def listeners(lines: Iterable[str]) -> Dict[str, List[Dict[str, Any]]]:
    """Give the plain addresses that each section `frontend` or `listen` binds, and how."""
    found: Dict[str, List[Dict[str, Any]]] = {}
    name, section, default, mode = "", "", "tcp", ""
    for line in lines:
        parts = line.split()
        if parts and parts[0] in _SECTIONS:
            name = parts[1] if parts[0] in ("frontend", "listen") and len(parts) > 1 else ""
            section, mode = parts[0], default
        elif len(parts) > 1 and parts[0] == "mode":
            mode = parts[1]
            default = mode if section == "defaults" else default
            for one in found.get(name, ()):
                one["http"] = mode == "http"
        elif name and len(parts) > 1 and parts[0] == "bind":
            for word in parts[1].split(","):
                at = _BIND.fullmatch(word)
                if at:
                    found.setdefault(name, []).append(
                        {
                            "address": at.group(1).strip("[]"),
                            "port": int(at.group(2)),
                            "tls": "ssl" in parts,
                            "http": mode == "http",
                            "accept_proxy": "accept-proxy" in parts,
                        }
                    )
    return found


def _is_weighted_out(row: Dict[str, str]) -> bool:
    """Tell whether a server has lost all of its weight at run time."""
    return row["srv_uweight"] == "0" != row["srv_iweight"]


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _orders(wanted: Dict[str, Any]) -> Iterator[str]:
    if wanted.get("state") in ("drain", "maint", "ready"):
        yield f"state {wanted['state']}"
    if isinstance(wanted.get("weight"), int):
        yield f"weight {wanted['weight']}"


def _last_words(answer: str, text: str) -> str:
    lines = [line for line in answer.splitlines() if "[ALERT]" in line]
    return own_words(" ".join(lines), text)[:500] or "it said nothing more"


def _said_since(wall_seconds: float, unit: str, path: str) -> str:
    """Give the alerts that HAProxy has logged since then; where to look when there are none."""
    words = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=200"]
    said = process.run([*words, f"--unit={unit}", f"--since=@{int(wall_seconds)}"], 10.0)[1]
    alerts = "\n".join(line for line in said.splitlines() if "[ALERT]" in line)
    if not alerts:
        return f"see the journal of {unit}"
    return _last_words(alerts, _text(path))


def _text(path: str) -> str:
    """Give a file's bytes as text, one character for each byte."""
    with open(path, encoding="latin-1", newline="\n") as file:
        return file.read()


_QUOTED = re.compile(r"(?<![A-Za-z0-9])'(.*?)'(?![A-Za-z0-9])")
# What stands around a quoted name.
_MARKS = "'\",.:;()<>[]"
# Words, numbers and line numbers of HAProxy itself: nothing of this form is worth hiding.
_SPOKEN = re.compile(
    r"\[[A-Z]+\]|\(?\d{1,7}\)?[,.:;]?|\[?haproxy\.cfg(?::\d+)?\]?[,.:;]?|<[a-z]+>"
    r"|[(\[]?[A-Za-z][A-Za-z-]*(?:'[a-z]{1,2}|\(s\))?[)\]]?[,.:;?!]?|IPv[46]|[^A-Za-z0-9]{1,3}"
    # Where it could not listen, as it writes that.
    r"|\[(?:[0-9.]{7,15}|[0-9a-f:]{2,39}):\d{1,5}\][,.:;]?"
)


def own_words(said: str, text: str) -> str:
    """Give what HAProxy said, with `***` for what is neither its own wording nor in `text`.

    Its errors quote the file that they are about, which may be another one than the release.
    """
    said = _SECRET.sub(r"\1\2***", said[: 4 * LARGEST_CHECK_OUTPUT])
    said = _QUOTED.sub(lambda q: q.group() if q.group(1) in text else "'***'", said)
    kept = []
    for line in said.split("\n"):
        # What an error shows of the release itself.
        whole = line.strip() and line in text
        spoken = (_SPOKEN.fullmatch(w) or w.strip(_MARKS) in text for w in line.split())
        if whole or all(spoken):
            kept.append(line)
        else:
            kept.append(" ".join(_own_word(word, text) for word in line.split()))
    return "\n".join(kept)


def _own_word(word: str, text: str) -> str:
    own = _SPOKEN.fullmatch(word) or word.strip(_MARKS) in text
    return word if own else "***"


def words(line: str) -> List[str]:
    """Give the words of a line as HAProxy reads them (configuration.txt, 2.2).

    Raises ValueError for a quote that is not closed, and for a variable of the environment.
    """
    if line.isascii() and not any(letter in line for letter in "'\"\\#"):
        return line.split()
    result: List[str] = []
    word, started, quote, at = "", False, "", 0
    while at < len(line):
        letter = line[at]
        at += 1
        if quote and letter == quote:
            quote = ""
        elif quote == "'":
            word += letter
        elif letter == "\\":
            part, at = _escape(line, at, quote)
            word, started = word + part, True
        elif quote:
            if letter == "$":
                raise ValueError("a variable of the environment")
            word += letter
        elif letter in "'\"":
            quote, started = letter, True
        elif letter == "#":
            break
        elif letter in " \t":
            if started:
                result.append(word)
            word, started = "", False
        else:
            word, started = word + letter, True
    if quote:
        raise ValueError("a quote that is not closed")
    return [*result, word] if started else result


def _escape(line: str, at: int, quote: str) -> Tuple[str, int]:
    """Give what the backslash before `at` stands for, and where the line goes on."""
    letter = line[at : at + 1]
    if letter == "x":
        digits = line[at + 1 : at + 3]
        if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
            raise ValueError("an escape that is not complete")
        if digits == "00":
            # HAProxy's words end there, ours would not.
            raise ValueError("a zero byte")
        return chr(int(digits, 16)), at + 3
    if letter and letter in " \\#'\"nrt" + ("$" if quote else ""):
        return _ESCAPED.get(letter, letter), at + 1
    return "\\", at


def forbidden(text: str) -> List[str]:
    """Give what a configuration holds that is not allowed, as `line N: what`; see above."""
    faults: List[str] = []
    guard = _Guard()
    for number, line in enumerate(text.split("\n"), 1):
        fault = guard.fault(line)
        if fault:
            faults.append(f"line {number}: {fault}")
            if len(faults) >= _MOST_FAULTS:
                return faults
    missing = sorted(set(IDENTITY) - guard.identity)
    if missing and not faults:
        lines = ", ".join(f"`{name} {IDENTITY[name]}`" for name in missing)
        faults.append(f"the section global lacks {lines}: HAProxy would keep root's rights")
    return faults


class _Guard:
    """Reads a configuration line by line. What it says of a line never holds other files' text."""

    def __init__(self) -> None:
        self.identity: Set[str] = set()
        self._section = ""
        self._bases: Set[str] = set()

    def fault(self, line: str) -> str:
        """Say what is not allowed about the next line; empty when nothing is."""
        if _CONTROL.search(line):
            return "a control character is not allowed"
        try:
            found = words(line)
        except ValueError as error:
            return f"{error} is not allowed"
        if not found:
            return "" if line.strip(" \t")[:1] in ("", "#") else "an empty word is not allowed"
        prefixed = found[0] in ("no", "default") and len(found) > 1
        plain = line.split("#")[0].replace("\t", " ").split(" ")
        first = [word for word in plain if word][: 2 if prefixed else 1]
        if first != found[: len(first)]:
            return "a directive that is quoted or escaped is not allowed"
        if found[0] in _SECTIONS:
            return self._open(found[0])
        directive, rest = (found[1], found[2:]) if prefixed else (found[0], found[1:])
        if directive not in _ALLOWED.get(self._section, ()) and not (
            self._section == "global" and directive.startswith("tune.")
        ):
            where = f"in the section {self._section}" if self._section else "before any section"
            return f"{_shown(directive)} is not allowed {where}"
        return self._about(directive, rest)

    def _open(self, section: str) -> str:
        self._section = section
        return "" if section in _ALLOWED else f"a section {section} is not allowed"

    def _about(self, directive: str, rest: List[str]) -> str:
        """Look at what follows a directive that is allowed."""
        own = _RULES.get(directive)
        said = own(self, directive, rest) if own else ""
        if not said and directive in _PLACES:
            said = self._files(rest)
        patterns = _patterns_at(rest) if directive == "acl" else len(rest)
        for at, word in enumerate(rest[:patterns]):
            if said:
                break
            if word == "-f":
                said = _outside("-f", rest[at + 1 : at + 2], LISTS)
            elif "(" in word:
                said = _calls(word)
        return said

    def _files(self, rest: List[str]) -> str:
        for at, word in enumerate(rest):
            if word == "namespace" and "/" in "".join(rest[at + 1 : at + 2]):
                return "namespace is only allowed for a plain name"
            folders = _FILE_WORDS.get(word)
            if folders is None:
                continue
            based = folders is TLS_FILES and ("ca" if word[:2] == "ca" else "crt") in self._bases
            path = rest[at + 1 : at + 2]
            if path and path[0] == "@system-ca":
                continue
            if not (based and path and _RELATIVE.fullmatch(path[0])):
                said = _outside(word, path, folders)
                if said:
                    return said
        return ""

    def identity_fault(self, directive: str, rest: List[str]) -> str:
        """`chroot`, `user`, `group`: of the section global as the distribution has them."""
        if self._section != "global":
            return ""
        self.identity.add(directive)
        wanted = IDENTITY[directive]
        return "" if rest == [wanted] else f"{directive} must be {wanted}"

    def base_fault(self, directive: str, rest: List[str]) -> str:
        """`ca-base`, `crt-base`: from here on, names relative to them."""
        self._bases.add(directive.split("-")[0])
        return _outside(directive, [f"{path}/" for path in rest[:1]], TLS_FILES)

    def tls_file_fault(self, directive: str, rest: List[str]) -> str:
        """A directive whose only word is a file of TLS."""
        return _outside(directive, rest[:1], TLS_FILES)

    def variable_fault(self, directive: str, rest: List[str]) -> str:
        """HAProxy's master starts itself anew with its environment: LD_PRELOAD would be code."""
        if rest and _VARIABLE.fullmatch(rest[0]):
            return ""
        return f"{directive} is only allowed for EVENKEEL and EVENKEEL_*"

    def stats_fault(self, _directive: str, rest: List[str]) -> str:
        """`stats socket` of the section global opens HAProxy's own command line."""
        if self._section != "global":
            return ""
        if rest[:1] == ["socket"]:
            path = [word[5:] if word.startswith("unix@") else word for word in rest[1:2]]
            return _outside("stats socket", path, SOCKETS)
        return "" if rest[:1] in (["timeout"], ["maxconn"]) else "stats: not allowed in this form"

    def log_fault(self, directive: str, rest: List[str]) -> str:
        """An address, a ring, or a socket that is for logs."""
        target = rest[0] if rest else ""
        if target in ("global", "stdout", "stderr", "") or target.startswith("ring@"):
            return ""
        path = target[5:] if target.startswith("unix@") else target
        if path.startswith(LOG_SOCKETS) and _PATH.fullmatch(path):
            return ""
        return "" if _ADDRESS.fullmatch(target) else f"{directive}: this target is not allowed"

    def bind_fault(self, directive: str, rest: List[str]) -> str:
        """A socket that is opened by root replaces the file of its name."""
        return _listens(directive, rest[:1])

    def peer_fault(self, _directive: str, rest: List[str]) -> str:
        """The line of the local peer opens a socket, whichever it is."""
        return _listens("this address", rest[1:2]) if self._section == "peers" else ""

    def state_fault(self, directive: str, rest: List[str]) -> str:
        """The one file that the driver writes; any other could be anything."""
        if directive == "server-state-file":
            return "" if rest == [STATE_FILE] else f"{directive} must be {STATE_FILE}"
        return "" if rest in (["global"], ["none"]) else f"{directive} must be global or none"

    def option_fault(self, _directive: str, rest: List[str]) -> str:
        """`option external-check` starts a program."""
        return "option external-check is not allowed" if rest[:1] == ["external-check"] else ""

    def filter_fault(self, _directive: str, rest: List[str]) -> str:
        """`spoe` and `opentracing` read a file of their own; others are not known."""
        allowed = rest[:1] and rest[0] in _FILTERS
        return "" if allowed else f"filter is only allowed for {', '.join(_FILTERS)}"

    def page_fault(self, directive: str, rest: List[str]) -> str:
        """`errorfile CODE FILE`."""
        return _outside(directive, rest[1:2], PAGES)

    def answer_fault(self, directive: str, rest: List[str]) -> str:
        """`http-request return` and its like answer with a file's content."""
        if directive != "http-error" and rest[:1] not in (["return"], ["deny"], ["tarpit"]):
            return ""
        for at, word in enumerate(rest):
            if word in _ANSWERS:
                said = _outside(f"{directive} ... {word}", rest[at + 1 : at + 2], PAGES)
                if said:
                    return said
        return ""


_Rule = Callable[[_Guard, str, List[str]], str]
_RULES: Dict[str, _Rule] = {
    "chroot": _Guard.identity_fault,
    "user": _Guard.identity_fault,
    "group": _Guard.identity_fault,
    "ca-base": _Guard.base_fault,
    "crt-base": _Guard.base_fault,
    "issuers-chain-path": _Guard.tls_file_fault,
    "ssl-dh-param-file": _Guard.tls_file_fault,
    "setenv": _Guard.variable_fault,
    "presetenv": _Guard.variable_fault,
    "stats": _Guard.stats_fault,
    "log": _Guard.log_fault,
    "log-stderr": _Guard.log_fault,
    "bind": _Guard.bind_fault,
    "dgram-bind": _Guard.bind_fault,
    "peer": _Guard.peer_fault,
    "server": _Guard.peer_fault,
    "server-state-file": _Guard.state_fault,
    "load-server-state-from-file": _Guard.state_fault,
    "option": _Guard.option_fault,
    "filter": _Guard.filter_fault,
    "errorfile": _Guard.page_fault,
    "http-error": _Guard.answer_fault,
    "http-request": _Guard.answer_fault,
    "http-response": _Guard.answer_fault,
    "http-after-response": _Guard.answer_fault,
}


def _patterns_at(rest: List[str]) -> int:
    """Give where an acl's plain patterns begin: after `--`, when only flags stand before it."""
    at = 2
    while at < len(rest):
        if rest[at] == "--":
            return at + 1
        if rest[at] not in ("-i", "-n", "-M", "-m", "-u", "-f"):
            break
        at += 2 if rest[at] in ("-m", "-u", "-f") else 1
    return len(rest)


def _outside(what: str, path: List[str], folders: Tuple[str, ...]) -> str:
    """Say so when `path` (one word, or none) does not lie below one of `folders`."""
    inside = path and _PATH.fullmatch(path[0].rstrip("/") or "-") and path[0].startswith(folders)
    return "" if inside else f"{what} is only allowed for a file below {' or '.join(folders)}"


def _calls(word: str) -> str:
    """Look at the converters and actions of a word that are given the name of a file."""
    for call in _CALL.finditer(word):
        name = call.group()[:-1]
        argument = re.split(r"[,)]", word[call.end() :])[0]
        if name == "env":
            if not _VARIABLE.fullmatch(argument):
                return "env() is only allowed for EVENKEEL and EVENKEEL_*"
        elif name == "jwt_verify":
            key = word[call.end() :].partition(",")[2].partition(")")[0]
            said = _outside("jwt_verify()", [key], TLS_FILES) if "/" in key else ""
            if said:
                return said
        else:
            said = _outside(f"{name}()", [argument], LISTS)
            if said:
                return said
    return ""


def _listens(directive: str, addresses: List[str]) -> str:
    for address in addresses[0].split(",") if addresses else ():
        path = address[5:] if address.startswith("unix@") else address
        if path.startswith("/"):
            said = _outside(directive, [path], SOCKETS)
            if said:
                return said
        elif not _ADDRESS.fullmatch(address):
            return f"{directive}: this address is not allowed"
    return ""


def _shown(directive: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in directive[:40])


def declared(lines: Any) -> Dict[str, List[str]]:
    """Give {pool: [server, sorted]} that the lines of a configuration declare.

    A section that says `disabled` has no counters and is left out, as HAProxy itself does.
    """
    pools: Dict[str, List[str]] = {}
    disabled = set()
    pool = ""
    for line in lines:
        words = line.split(None, 3)
        if not words or words[0].startswith("#"):
            continue
        if words[0] in _SECTIONS:
            pool = words[1] if words[0] in ("backend", "listen") and len(words) > 1 else ""
            if pool:
                pools.setdefault(pool, [])
        elif pool and words[0] == "server" and len(words) > 1:
            pools[pool].append(words[1])
        elif pool and words[0] == "server-template" and len(words) > 2:
            pools[pool] += _template(words[1], words[2])
        elif pool and words[0] == "disabled":
            disabled.add(pool)
    return {name: sorted(found) for name, found in pools.items() if name not in disabled}


# `show servers state`, version 1, up to HAProxy 2.6 and on (management guide, 9.3).
_STATE_LINE = """
    be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
    srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state
    srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl
    srv_check_port srv_check_addr srv_agent_addr srv_agent_port
"""
_STATE_COLUMNS = tuple(_STATE_LINE.split())


_SECTIONS = frozenset(
    (
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "userlist",
        "peers",
        "resolvers",
        "mailers",
        "ring",
        "log-forward",
        "log-profile",
        "cache",
        "program",
        "http-errors",
        "fcgi-app",
        "crt-store",
        "traces",
        "acme",
    )
)


def _binds(path: str) -> List[Tuple[str, int]]:
    """Give the plain addresses and ports that the sections of a configuration bind."""
    found: List[Tuple[str, int]] = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split(None, 2)
            if len(words) > 1 and words[0] == "bind" and "transparent" not in line:
                matches = (_BIND.fullmatch(word) for word in words[1].split(","))
                found += [(m.group(1).strip("[]"), int(m.group(2))) for m in matches if m]
    return found


def _unbindable(path: str, live: str) -> List[str]:
    """Say which of the listeners that are new in `path` the host could not open.

    `haproxy -c` opens none. A reload that cannot open one makes the old worker stop listening for
    about two seconds of retries, so it must not come to that. What `live` binds is held already.
    """
    try:
        held = {port for _, port in _binds(live)}
    except OSError:
        held = set()
    faults = []
    for address, port in _binds(path):
        if port in held and address in EVERY_ADDRESS:
            continue
        try:
            try_to_listen(address, 0 if port in held else port)
        except OSError as error:
            faults.append(f"cannot listen on {address or '*'}:{port}: {error.strerror}")
    return faults


def states_for(lines: List[str], rows: Iterable[Dict[str, str]]) -> List[str]:
    """Give the lines of a state file for the servers of `rows` that were changed at run time.

    `lines` is the configuration that the next worker reads. HAProxy takes the port from the state
    file and not from there, so the port is set to what stands there; and a server without one is
    left out. With `zero-warning` nothing is said, since a worker warns of what it is told.
    """
    if any(line.split()[:1] == ["zero-warning"] for line in lines):
        return []
    ports = _ports(lines)
    states = []
    for row in rows:
        admin = int(row["srv_admin_state"]) & (FORCED_MAINTENANCE | FORCED_DRAIN)
        configured = int(row["srv_admin_state"]) & CONFIGURED_MAINTENANCE
        weighted = row["srv_uweight"] != row["srv_iweight"]
        port = ports.get((row["be_name"], row["srv_name"]))
        if port is None or configured or not (admin or weighted):
            continue
        told = {"srv_addr": "-", "srv_port": str(port), "srv_fqdn": "-", "srvrecord": "-"}
        states.append(" ".join({**row, **told}.get(name, "-") for name in _STATE_COLUMNS))
    return states


def _ports(lines: Iterable[str]) -> Dict[Tuple[str, str], int]:
    """Give the port of each server of the sections `backend` and `listen` that names one."""
    found: Dict[Tuple[str, str], int] = {}
    pool = ""
    for line in lines:
        words = line.split(None, 4)
        if words and words[0] in _SECTIONS:
            pool = words[1] if words[0] in ("backend", "listen") and len(words) > 1 else ""
        elif pool and len(words) > 2 and words[0] == "server":
            port = words[2].rpartition(":")[2]
            if port.isdigit():
                found[pool, words[1]] = int(port)
    return found


def _write_states(states: List[str]) -> None:
    text = "\n".join(["1", "# " + " ".join(_STATE_COLUMNS), *states]) + "\n"
    temporary = f"{STATE_FILE}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(STATE_FILE), 0o711, exist_ok=True)
        durable.write_new(temporary, text.encode("latin-1"), 0o600)
        os.rename(temporary, STATE_FILE)
    except OSError:
        # A full disk keeps no host from going back.
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _template(prefix: str, numbers: str) -> List[str]:
    first, _, last = numbers.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        return []
    start, end = (int(first), int(last)) if last else (1, int(first))
    return [f"{prefix}{number}" for number in range(start, min(end, start + 65535) + 1)]


DRIVER = HAProxy
