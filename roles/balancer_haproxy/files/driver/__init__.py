"""HAProxy on its host. Hosts get this folder and `config/`, and nothing else of the role.

master        talks to the master process, and through it to the worker
declared      reads pools, ports, listeners and certificates of a configuration
server_state  carries changes of run time over to a new worker
counters      reads what the worker has counted for each server
messages      hides secrets in HAProxy's own words
guard         checks each line of a release against allowlist
native_check  runs HAProxy's own check of a release
descriptors   lets HAProxy start where there are few descriptors

The last three are imported where they are used, before a verb changes anything. What a switch needs
is imported here, before it begins.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, Dict, List, Optional, Tuple

from evenkeel.host.errors import BalancerDown, BalancerError
from evenkeel.host.system import process
from evenkeel.host.system.driver import Check, Driver, Loaded, Observation, Reloaded, started_at

from . import declared, server_state
from .counters import observed
from .declared import text_of
from .master import LOOK_SECONDS, Master, Processes, identity
from .messages import last_words, said_since

LIVE = "/etc/haproxy/haproxy.cfg"


class HAProxy(Driver):
    """The driver of the role balancer_haproxy."""

    KIND = "haproxy"
    UNIT = "haproxy.service"
    NATIVE_PATHS = {"haproxy.cfg": LIVE}  # noqa: RUF012 - constant
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

    def __init__(self, master: Optional[Master] = None) -> None:
        self._master = master or Master()

    def version(self) -> str:
        """Give the running version, or that of the installed program when none runs."""
        master = self._master
        if not master.version:
            try:
                master.settled(2.0)
            except BalancerError:
                said = process.run(["haproxy", "-v"], 10.0)[1]
                found = re.search(r"version (\S+)", said)
                master.version = found.group(1) if found else "unknown"
        return master.version

    def forbidden(self, release_dir: str) -> List[str]:
        """Give the lines of the release that HAProxy must not read as root."""
        from .guard import forbidden

        return forbidden(text_of(os.path.join(release_dir, "haproxy.cfg")))

    def check(self, release_dir: str) -> Check:
        """Run `haproxy -c` on a release without forbidden lines.

        Its output has no secrets, and nothing from other files.
        """
        from .native_check import check

        return check(release_dir, LIVE)

    def certificates(self, release_dir: str) -> List[str]:
        """Give the paths that `crt` names on bind and server lines, below `crt-base`."""
        return declared.certificates(declared.configuration_of(f"{release_dir}/haproxy.cfg"))

    def native_check(self, folder: str) -> Tuple[int, str]:
        """Run `haproxy -c` alone; give its exit code and its output."""
        from .native_check import native_check

        return native_check(folder)

    def fit(self, folders: List[str], descriptors: int) -> bool:
        """Bound the connections on the command line, which overrides maxconn (haproxy -n)."""
        from .descriptors import fit

        return fit(folders, descriptors)

    def reload(self, timeout_seconds: float) -> Reloaded:
        """Reload and wait until the master has settled with a new worker and no failed reload."""
        until = time.monotonic() + timeout_seconds
        began, began_wall = time.monotonic(), time.time()
        before = self._master.settled(timeout_seconds)
        self._write_state(before)
        try:
            self._ask_for_reload(until)
            after = self._new_worker(before, until, began_wall)
        finally:
            server_state.write_states([])
        worker = after.workers[0]
        return {
            "worker_pid": worker,
            "worker_started": started_at(worker),
            "reloads": after.reloads,
            "seconds": round(time.monotonic() - began, 3),
        }

    def _new_worker(self, before: Processes, until: float, began_wall: float) -> Processes:
        """Wait for the worker that a reload started. Raises BalancerError when none comes."""
        began = time.monotonic()
        while True:
            after = self._master.settled(max(0.1, until - time.monotonic()))
            if after.failed:
                raise BalancerError(
                    "the new configuration was not loaded, and the worker before it still serves: "
                    + said_since(began_wall, self.UNIT, LIVE)
                )
            if after.reloads > before.reloads and after.workers != before.workers:
                return after
            if time.monotonic() >= until:
                raise BalancerError(f"no new worker within {until - began:.0f} s of the reload")
            time.sleep(LOOK_SECONDS)

    def _write_state(self, before: Processes) -> None:
        """Write for the next worker which servers were drained or weighted at run time.

        An error here must not stop the reload: `restore_runtime_state` comes after.
        """
        try:
            live = declared.configuration_of(LIVE)
            rows = self._master.servers_state(before.workers[0]) if before.workers else ()
            server_state.write_states(server_state.states_for(live, rows))
        except (BalancerError, OSError, ValueError, KeyError):
            server_state.write_states([])

    def _ask_for_reload(self, until: float) -> None:
        """Send `reload`. From 2.7 the answer says whether it worked; 2.6 closes without a word."""
        while True:
            try:
                answer = self._master.ask("reload", max(1.0, until - time.monotonic()))
            except BalancerDown:
                # The master restarts itself; `show proc` will show the result.
                return
            if "Success=0" not in answer:
                return
            if "Another reload" not in answer:
                said = last_words(answer, text_of(LIVE))
                raise BalancerError("the new configuration was not loaded: " + said)
            if time.monotonic() >= until:
                raise BalancerError("another reload did not end in time")
            time.sleep(LOOK_SECONDS * 5)

    def loaded(self) -> Loaded:
        """Give the worker and the pools and servers that it has."""
        processes = self._master.with_a_worker()
        pid = processes.workers[0]
        pools: Dict[str, List[str]] = {}
        for row in self._master.statistics(pid):
            servers = pools.setdefault(row["pxname"], [])
            if row["type"] == "2":
                servers.append(row["svname"])
        return {
            **identity(processes),
            "pools": {pool: sorted(servers) for pool, servers in pools.items()},
        }

    def declared(self, release_dir: str) -> Dict[str, List[str]]:
        """Read the pools and servers of the sections `backend` and `listen`."""
        return declared.declared(declared.configuration_of(f"{release_dir}/haproxy.cfg"))

    def observe(self) -> Observation:
        """Give the counters and the state of each server."""
        processes = self._master.with_a_worker()
        try:
            text = text_of(LIVE)
        except OSError:
            text = ""
        pools = observed(self._master, processes.workers[0], text)
        return {**identity(processes), "pools": pools}

    def listeners(self) -> Dict[str, List[Dict[str, Any]]]:
        """Read the binds of the sections `frontend` and `listen` of the live configuration."""
        return declared.listeners(declared.configuration_of(LIVE))

    def drain(self, pool: str, server: str) -> None:
        """Set the server's state to drain."""
        self._master.set_server(self._master.worker(), pool, server, "state drain")

    def undrain(self, pool: str, server: str) -> None:
        """Set the server's state to ready, and a weight of 0 back to the configured one."""
        master = self._master
        pid = master.worker()
        master.set_server(pid, pool, server, "state ready")
        if any(
            (row["be_name"], row["srv_name"]) == (pool, server)
            and server_state.is_weighted_out(row)
            for row in master.servers_state(pid)
        ):
            master.set_server(pid, pool, server, "weight 100%")

    def drained(self) -> Dict[str, Dict[str, str]]:
        """Give the servers that run time has set to drain, to maint or to weight 0."""
        return server_state.drained(self._master.servers_state(self._master.worker()))

    def runtime_state(self) -> Dict[str, Dict[str, Dict[str, Any]]]:
        """Give the servers whose state or weight differs from the loaded configuration."""
        return server_state.changed_at_run_time(self._master.servers_state(self._master.worker()))

    def restore_runtime_state(self, state: Dict[str, Dict[str, Dict[str, Any]]]) -> List[str]:
        """Set state and weight again on the servers that still exist."""
        pid = self._master.worker()
        rows = self._master.servers_state(pid)
        present = {(row["be_name"], row["srv_name"]) for row in rows}
        return self._master.tell(pid, server_state.orders(state, present))


DRIVER = HAProxy
