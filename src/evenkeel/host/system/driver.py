"""The one interface between a host's switch and its balancer. A role's `files/driver/` fills it.

A driver never decides anything: it checks, reloads, and says what the running process has.
"""

from __future__ import annotations

import os
import stat
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, TypedDict

from evenkeel.host.errors import BalancerDown, Refused
from evenkeel.host.system import bytecode

DRIVERS = "/usr/local/lib/evenkeel/drivers"

# Every driver states each of these as true or false.
CAPABILITY_NAMES = (
    "reload_proof",  # notices a reload that did not load the files
    "request_counts",  # requests per server are counted
    "error_counts",  # failed requests per server are counted
    "server_state",  # the state of each server can be read
    "drain",  # drains servers and brings them back at run time
    "runtime_state",  # drains and runtime weights survive a reload
    "tcp",
    "tls",
    "stickiness",
    "health_checks",
)


class Worker(TypedDict, total=False):
    """The worker that runs; a balancer without a service process leaves the last two out."""

    worker_pid: int
    # Seconds of CLOCK_BOOTTIME.
    worker_started: float
    service_started: float
    # Replaced workers that still have connections.
    leaving: int


class Reloaded(Worker, total=False):
    """The new worker of a reload, how many reloads the service has had, and the time it took."""

    reloads: int
    seconds: float


class Loaded(Worker, total=False):
    """What the running worker has loaded: {pool: [server, sorted]}."""

    pools: Dict[str, List[str]]


class ServerFacts(TypedDict, total=False):
    """One server: its settings now, and its counts since the worker started (see `observe`)."""

    address: str
    port: int
    weight: int
    status: str
    backup: bool
    requests: int
    connections: int
    errors: int
    retries: int
    queue: int
    clients: int


class PoolFacts(TypedDict, total=False):
    """One pool: its servers, requests that wait now, and answers that were timed and slow."""

    servers: Dict[str, ServerFacts]
    queue: int
    timed: int
    slow: int


class Observation(Worker, total=False):
    """What the running worker has counted, by pool."""

    pools: Dict[str, PoolFacts]


class Check(NamedTuple):
    """What the balancer's own check said of a release: fine or not, and its words."""

    ok: bool
    output: str


class Driver:
    """One kind of balancer on its host. Pools and servers are named as in the configuration."""

    KIND = ""
    UNIT = ""
    # Name in a release -> path where the balancer reads it.
    NATIVE_PATHS: Dict[str, str] = {}  # noqa: RUF012 - a constant of each subclass
    CAPABILITIES: Dict[str, bool] = {}  # noqa: RUF012 - a constant of each subclass

    def version(self) -> str:
        """Give the version of the running balancer, or of the installed one when none runs."""
        raise NotImplementedError

    def forbidden(self, release_dir: str) -> List[str]:
        """Say what in `release_dir` the balancer must not read as root; empty when it may.

        The files are a caller's who is not root. Wherever a configuration can run code, change who
        runs it, or read and write other files, a driver says so here. `check` says it first as
        well, before any program has read the files.
        """
        del release_dir
        return []

    def certificates(self, release_dir: str) -> List[str]:
        """Give the certificates that the files in `release_dir` name: paths of files or folders."""
        del release_dir
        return []

    def check(self, release_dir: str) -> Check:
        """Let the balancer's own check judge the files in `release_dir`.

        Its words hold nothing of any file but these.
        """
        raise NotImplementedError

    def native_check(self, folder: str) -> Tuple[int, str]:
        """Run the balancer's own check alone on the files in `folder`, whoever wrote them.

        Gives its exit code and its words, for measuring what it sees by itself. Only for a
        container that holds nothing: `check` is what a host uses.
        """
        raise NotImplementedError

    def fit(self, folders: List[str], descriptors: int) -> bool:
        """Let the balancer start with the files in `folders` where there are few descriptors.

        For a rehearsal on a machine that is smaller than production. Gives whether anything had
        to be done; the files stay as they are.
        """
        del folders, descriptors
        return False

    def reload(self, timeout_seconds: float) -> Reloaded:
        """Make the running balancer load what is on disk now, without a restart, and prove it.

        Gives at least `worker_pid` and `worker_started` (seconds of CLOCK_BOOTTIME) of the new
        worker. Raises BalancerError when the balancer keeps the old configuration, BalancerDown
        when it does not run.
        """
        raise NotImplementedError

    def loaded(self) -> Loaded:
        """Give `worker_pid`, `worker_started` and `pools` {pool: [server, sorted]} of the worker.

        Also `service_started` (seconds of CLOCK_BOOTTIME) of the process that stays through every
        reload, so that another one means a restart; and `leaving`, how many workers a reload has
        replaced that still have connections. `observe` gives both as well. A balancer without
        such a process, or such workers, leaves them out.

        Raises BalancerDown when the balancer does not run.
        """
        raise NotImplementedError

    def declared(self, release_dir: str) -> Dict[str, List[str]]:
        """Give {pool: [server, sorted]} that the files in `release_dir` say."""
        raise NotImplementedError

    def listeners(self) -> Dict[str, List[Dict[str, Any]]]:
        """Give {listener: its binds} of the live configuration, for probes of the host itself.

        A bind is `address` (as the configuration writes it; "*", "" or "::" is every address),
        `port`, `tls`, `http` and `accept_proxy`, each true or false. A driver that knows none
        can not be probed.
        """
        return {}

    def observe(self) -> Observation:
        """Give what the running worker has counted for each server, and the state each is in.

        `worker_pid`, `worker_started` (seconds of CLOCK_BOOTTIME) and `pools` {pool: {"servers":
        {server: facts}}}. The facts: `address`, `port`, `weight` (of the configuration or of run
        time), `status` (active, draining, inactive or down), `backup`, the counters since the
        worker started `requests` (what the algorithm assigned), `connections`, `errors`,
        `retries`, and `queue` (how many wait now).
        """
        raise NotImplementedError

    def drain(self, pool: str, server: str) -> None:
        """Give `server` no new requests from now on."""
        raise NotImplementedError

    def undrain(self, pool: str, server: str) -> None:
        """Give `server` its share again."""
        raise NotImplementedError

    def drained(self) -> Dict[str, Dict[str, str]]:
        """Give {pool: {server: status}} of those kept from new requests at run time.

        `status` is draining, or inactive for a server that was taken out of service altogether.
        Servers that the configuration itself keeps from requests are not among them.
        """
        raise NotImplementedError

    def runtime_state(self) -> Dict[str, Dict[str, Dict[str, Any]]]:
        """Give {pool: {server: state}} of what was changed at run time; `state` is the driver's."""
        raise NotImplementedError

    def restore_runtime_state(self, state: Dict[str, Dict[str, Dict[str, Any]]]) -> List[str]:
        """Apply `state` to the servers that still exist; give the `pool/server` that refused it."""
        raise NotImplementedError


def path_of(balancer: str, folder: str = DRIVERS) -> str:
    """Give the path of the one file that is the driver of `balancer`: a zip file of sources."""
    return os.path.join(folder, f"{balancer}.zip")


def package_of(balancer: str) -> str:
    """Give the name of the package in that file; its part `driver` has the name `DRIVER`."""
    return f"evenkeel_driver_{balancer}"


def load(balancer: str, folder: str = DRIVERS, caches: Optional[str] = None) -> Driver:
    """Load the driver of `balancer` from `folder` and give it. Nothing of it is read later.

    Its bytecode is kept in the folder `caches`; an installed driver's lies beside the program's.
    Raises Refused when there is no driver, when somebody other than root could have written it,
    when it is incomplete, or when it does not state every capability.
    """
    path = path_of(balancer, folder)
    if caches is None and folder == DRIVERS:
        caches = bytecode.CACHES
    try:
        module = _imported(package_of(balancer), _modules(balancer, path, caches))
    except FileNotFoundError:
        raise Refused(
            f"No driver for the balancer {balancer!r} on this host",
            where=path,
            wanted=f"the driver of the role balancer_{balancer}",
            got="nothing",
            next_step="put the host's program in place again",
        ) from None
    except ImportError as error:
        raise Refused(
            f"The driver for the balancer {balancer!r} on this host is incomplete",
            where=path,
            wanted=f"files/driver/ and files/config/ of the role balancer_{balancer}",
            got=str(error)[:300],
            next_step="put the host's program in place again",
        ) from None
    driver: Driver = module.DRIVER()
    missing = [name for name in CAPABILITY_NAMES if name not in driver.CAPABILITIES]
    if missing:
        raise Refused(
            f"The driver of role balancer_{balancer} does not state a capability",
            where=path,
            wanted="true or false for every capability",
            got=f"nothing for {', '.join(missing)}",
        )
    return driver


def _modules(balancer: str, path: str, caches: Optional[str]) -> bytecode.Modules:
    """Give the compiled modules of the driver at `path`; raises ImportError when it is damaged."""
    _require_ours(path, os.lstat(path))
    with open(path, "rb", opener=_opened_itself) as sources:
        # What was looked at may have been replaced since.
        _require_ours(path, os.fstat(sources.fileno()))
        try:
            modules = None
            if caches is not None:
                cache = os.path.join(caches, f"driver-{balancer}.code")
                modules = bytecode.modules_of(sources, cache, may_write=not bytecode.at_boot())
            if modules is None:
                modules = bytecode.compiled(sources)
        except (OSError, MemoryError):
            raise
        except Exception as damage:
            # Broken files raise many types of errors.
            raise ImportError(f"{type(damage).__name__}: {damage}") from None
    package = package_of(balancer)
    others = sorted(name for name in modules if name.partition(".")[0] != package)
    if others:
        raise ImportError(f"{others[0]}, which is no part of this driver")
    return modules


def _opened_itself(path: str, flags: int) -> int:
    """Open `path`, not what a link there leads to, and do not wait for who writes to a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _require_ours(path: str, facts: os.stat_result) -> None:
    alone = facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
    if not alone or not stat.S_ISREG(facts.st_mode):
        raise Refused(
            "Another user could have written the balancer's driver",
            where=path,
            wanted="a regular file that its owner, root, alone can write",
            got=f"owner {facts.st_uid}, mode {stat.filemode(facts.st_mode)}",
        )


def _imported(package: str, modules: bytecode.Modules) -> ModuleType:
    """Import a driver from its modules, in the place of what had its name before."""
    for name in [one for one in sys.modules if one.partition(".")[0] == package]:
        del sys.modules[name]
    for finder in [one for one in sys.meta_path if isinstance(one, bytecode.Kept)]:
        if finder.has(package):
            sys.meta_path.remove(finder)
    sys.meta_path.insert(0, bytecode.Kept(modules))
    return import_module(f"{package}.driver")


# How configurations write "every address".
EVERY_ADDRESS = ("", "*", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


def try_to_listen(address: str, port: int) -> None:
    """Bind a TCP socket as a balancer would, and let it go. Raises OSError when that is refused.

    Port 0 tries the address alone.
    """
    import socket

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        every = family == socket.AF_INET and address in EVERY_ADDRESS
        probe.bind(("" if every else address, port))


def started_at(pid: int) -> float:
    """Give the seconds of CLOCK_BOOTTIME at which a process started (proc(5): starttime).

    Raises BalancerDown when there is no such process.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read(4096).rpartition(")")[2].split()
    except OSError:
        raise BalancerDown(f"process {pid} is gone") from None
    return int(fields[19]) / float(os.sysconf("SC_CLK_TCK"))
