"""A host without systemd or a balancer: the process is a file that remembers its worker."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evenkeel.host.errors import BalancerDown, BalancerError, Refused
from evenkeel.host.main import answer_of
from evenkeel.host.state.archive import pack, release_digest
from evenkeel.host.state.machine import Machine
from evenkeel.host.state.store import Store
from evenkeel.host.system.driver import CAPABILITY_NAMES, Check, Driver
from evenkeel.host.system.lease import Clock
from evenkeel.host.system.sha256 import canonical
from evenkeel.host.system.steps import Steps
from evenkeel.host.system.systemd import Units

FIRST = b"web a\nweb b\n"
SECOND = b"web a\nweb b\nweb c\n"
THIRD = b"web a\nweb d\n"
UNLOADABLE = b"web a\nunloadable\n"
INVALID = b"invalid\n"


class FakeClock(Clock):
    """Clocks that stand still until a test moves them. Files carry times of the real wall clock."""

    def __init__(self) -> None:
        self.moved = 0.0
        self.jumped = 0.0
        self.boot = "boot-1"

    def boottime(self) -> float:
        return super().boottime() + self.moved

    def boot_id(self) -> str:
        return self.boot

    def wall(self) -> float:
        return super().wall() + self.moved + self.jumped

    def sleep(self, seconds: float) -> None:
        self.moved += seconds


class FakeUnits(Units):
    """Timers that never run by themselves; `failing` makes systemd refuse."""

    def __init__(self, driver: FakeDriver) -> None:
        super().__init__("fake")
        self.armed: dict[str, float] = {}
        self.failing = False
        self._driver = driver
        self._kept = driver.native.parents[1] / "process-timers.json"

    def keep(self) -> None:
        """Write down which timers are armed, so that they outlive the program."""
        self._kept.write_text(json.dumps(self.armed))

    def remember(self) -> None:
        """Read what a program that has ended wrote down."""
        self.armed = json.loads(self._kept.read_text())

    def arm(self, timer: str, seconds: float) -> None:
        if self.failing:
            raise Refused("no timer")
        self.armed[timer] = seconds
        self.keep()

    def disarm(self, timer: str) -> None:
        self.armed.pop(timer, None)
        self.keep()

    def start(self, unit: str) -> None:
        self._driver.spawn()


class FakeDriver(Driver):
    """Lines `POOL SERVER` are its configuration."""

    KIND = "fake"
    UNIT = "fake.service"
    CAPABILITIES = dict.fromkeys(CAPABILITY_NAMES, True)

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.native = folder / "etc" / "fake.cfg"
        self.NATIVE_PATHS = {"fake.cfg": str(self.native)}
        self._process = folder / "process.json"
        self._clock = clock

    def spawn(self) -> None:
        """Start a worker with what is on disk."""
        data = self.native.read_bytes()
        before = json.loads(self._process.read_text()) if self._process.exists() else {"pid": 100}
        worker = {
            "pid": before["pid"] + 1,
            "started": self._clock.boottime(),
            "config": data.decode(),
            "runtime": {},
            "requests": {},
        }
        temporary = self._process.with_suffix(".new")
        temporary.write_text(json.dumps(worker))
        temporary.rename(self._process)

    def die(self) -> None:
        self._process.unlink(missing_ok=True)

    def _worker(self) -> dict[str, Any]:
        if not self._process.exists():
            raise BalancerDown("it does not run")
        result: dict[str, Any] = json.loads(self._process.read_text())
        return result

    def _save(self, worker: dict[str, Any]) -> None:
        self._process.write_text(json.dumps(worker))

    def running(self) -> bytes:
        """The bytes that the worker has loaded."""
        return str(self._worker()["config"]).encode()

    def run_with(self, data: bytes) -> None:
        """Let the worker have loaded other bytes than those on disk."""
        self._save({**self._worker(), "config": data.decode()})

    def count(self, requests: dict[str, int]) -> None:
        """Let servers of the pool web get requests."""
        worker = self._worker()
        for server, more in requests.items():
            worker["requests"][server] = worker["requests"].get(server, 0) + more
        self._save(worker)

    def version(self) -> str:
        return "1.0"

    def check(self, release_dir: str) -> Check:
        bad = b"invalid" in Path(release_dir, "fake.cfg").read_bytes()
        return Check(not bad, "line 1: invalid" if bad else "")

    def reload(self, timeout_seconds: float) -> dict[str, Any]:
        self._worker()
        if b"unloadable" in self.native.read_bytes():
            raise BalancerError("cannot load it")
        self.spawn()
        return self._identity()

    def _identity(self) -> dict[str, Any]:
        worker = self._worker()
        return {"worker_pid": worker["pid"], "worker_started": worker["started"]}

    def loaded(self) -> dict[str, Any]:
        return {**self._identity(), "pools": _pools(self._worker()["config"])}

    def declared(self, release_dir: str) -> dict[str, list[str]]:
        return _pools(Path(release_dir, "fake.cfg").read_text())

    def observe(self) -> dict[str, Any]:
        worker = self._worker()
        pools = {
            pool: {"servers": {server: _facts(worker, server) for server in servers}}
            for pool, servers in _pools(worker["config"]).items()
        }
        return {**self._identity(), "pools": pools}

    def runtime_state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._worker()["runtime"]
        return state

    def restore_runtime_state(self, state: dict[str, Any]) -> list[str]:
        worker = self._worker()
        there = _pools(worker["config"])
        worker["runtime"] = {
            pool: kept
            for pool, servers in state.items()
            if (kept := {name: one for name, one in servers.items() if name in there.get(pool, ())})
        }
        self._save(worker)
        return []

    def drain(self, pool: str, server: str) -> None:
        worker = self._worker()
        worker["runtime"].setdefault(pool, {})[server] = {"state": "drain"}
        self._save(worker)

    def undrain(self, pool: str, server: str) -> None:
        worker = self._worker()
        worker["runtime"].get(pool, {}).pop(server, None)
        self._save(worker)

    def drained(self) -> dict[str, dict[str, str]]:
        words = {"drain": "draining", "maint": "inactive"}
        return {
            pool: {name: words[one["state"]] for name, one in servers.items() if "state" in one}
            for pool, servers in self._worker()["runtime"].items()
        }


def _pools(text: str) -> dict[str, list[str]]:
    pools: dict[str, list[str]] = {}
    for line in text.splitlines():
        if len(words := line.split()) == 2:
            pools.setdefault(words[0], []).append(words[1])
    return {pool: sorted(servers) for pool, servers in pools.items()}


def _facts(worker: dict[str, Any], server: str) -> dict[str, Any]:
    requests = worker["requests"].get(server, 0)
    return {
        "address": "192.0.2.1",
        "port": 80,
        "weight": 100.0,
        "status": "active",
        "backup": False,
        "requests": requests,
        "connections": requests,
        "errors": 0,
        "retries": 0,
        "queue": 0,
    }


class Killed(Steps):
    """Kills the program with SIGKILL at its n-th step, or at the first of a name."""

    def __init__(self, at: int | str, moment: str) -> None:
        self._at, self._moment, self._seen = at, moment, 0

    def run(self, name: str, action: Any) -> Any:
        self._seen += 1
        here = self._at in (self._seen, name)
        if here and self._moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return action()
        finally:
            if here:
                os.kill(os.getpid(), signal.SIGKILL)


class Recorded(Steps):
    """Writes down the names of the steps."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def run(self, name: str, action: Any) -> Any:
        self.names.append(name)
        return action()


class Host:
    """A host in a folder, running `FIRST` from a regular file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.driver = FakeDriver(folder, self.clock)
        self.units = FakeUnits(self.driver)
        self.driver.native.parent.mkdir(parents=True)
        self.driver.native.write_bytes(FIRST)
        self.clock.moved += 1
        self.driver.spawn()
        self.root = folder / "store"
        self.policy = folder / "policy" / "fake"
        # What surrounds every run of the program, and bytes that are live because of a person.
        self.around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
        self.edits: set[bytes] = set()

    def machine(self, balancer: str, steps: Steps) -> Machine:
        store = Store(str(self.root), steps)
        machine = Machine(balancer, store, self.driver, self.units, self.clock, steps, 0.3)
        machine.policy_folder = str(self.policy)
        return machine

    def program(
        self, *words: str, stdin: bytes = b"", steps: Steps | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Run a verb in this process."""
        # Every call is a moment later, so that no two things happen at one time.
        self.clock.moved += 1
        line = ["--balancer", "fake", *words]
        with self.around():
            return answer_of(line, io.BytesIO(stdin), self.machine, steps or Steps())

    def must(self, *words: str, stdin: bytes = b"", steps: Steps | None = None) -> dict[str, Any]:
        code, answer = self.program(*words, stdin=stdin, steps=steps)
        assert code == 0, answer
        return answer

    def killed(self, *words: str, at: int | str, moment: str, stdin: bytes = b"") -> None:
        """Run a verb in a child that is killed at a step."""
        self.units.keep()
        child = os.fork()
        if child == 0:
            try:
                self.program(*words, stdin=stdin, steps=Killed(at, moment))
            finally:
                os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        self.units.remember()

    def prepare(self, change: str, data: bytes) -> dict[str, Any]:
        words = ("prepare", "--change", change, "--release", digest(data))
        return self.must(*words, stdin=archive(change, data))

    def activate_words(self, change: str, data: bytes, lease: float = 60) -> tuple[str, ...]:
        seconds = ("--lease-seconds", str(lease))
        return ("activate", "--change", change, "--release", digest(data), *seconds)

    def activate(
        self, change: str, data: bytes, *more: str, lease: float = 60
    ) -> tuple[int, dict[str, Any]]:
        return self.program(*self.activate_words(change, data, lease), *more)

    def deploy(self, change: str, data: bytes, confirm: bool = True) -> None:
        """Take a change all the way."""
        self.prepare(change, data)
        code, answer = self.activate(change, data)
        assert code == 0, answer
        if confirm:
            self.must("confirm", "--change", change)

    def power_off(self) -> None:
        """End every process and timer, and with this boot every lease."""
        self.driver.die()
        self.units.armed.clear()
        self.units.keep()
        self.clock.boot += "+"

    def live(self) -> bytes:
        """What the balancer would read; no bytes when there is no file."""
        try:
            return self.driver.native.read_bytes()
        except FileNotFoundError:
            return b""

    def confirmed(self) -> bytes:
        """The bytes of the release that was confirmed last; none when there is none."""
        path = self.root / "journal"
        generations = json.loads(path.read_bytes())["generations"] if path.exists() else []
        if not generations:
            return b""
        path = self.root / "releases" / generations[-1]["release"] / "fake.cfg"
        return path.read_bytes() if path.exists() else b""

    def status(self) -> dict[str, Any]:
        return self.must("status")


def digest(data: bytes) -> str:
    return release_digest({"fake.cfg": data})


def manifest(change: str, data: bytes) -> dict[str, Any]:
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "mode": "0640"}
    return {
        "change_id": change,
        "digest": "0" * 64,
        "release": digest(data),
        "files": {"fake.cfg": facts},
    }


def archive(change: str, data: bytes, approved: Mapping[str, bytes] | None = None) -> bytes:
    return pack(canonical(manifest(change, data)), {"fake.cfg": data}, approved)
