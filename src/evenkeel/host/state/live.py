"""What the balancer reads: the native paths, the `live` symlink, and the bytes behind them."""

from __future__ import annotations

import os
from typing import Any, Dict, NamedTuple, Optional

from evenkeel.host.errors import BalancerError, Refused
from evenkeel.host.state.archive import LARGEST_ARCHIVE_BYTES, Release, release_digest
from evenkeel.host.state.journal import Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.system import durable
from evenkeel.host.system.driver import Loaded


class Live(NamedTuple):
    """The bytes that the balancer would load now."""

    files: Dict[str, bytes]
    modes: Dict[str, int]
    # The content address of the bytes; None without bytes.
    digest: Optional[str]
    # Every native path leads through `live`.
    adopted: bool
    # How the bytes differ from `live`; empty if they agree.
    drift: str


def through(machine: Machine, name: str) -> str:
    """Give the target that the native path of `name` has as a symlink."""
    return os.path.join(machine.store.live, name)


def read(machine: Machine) -> Live:
    """Read what is live, byte by byte. Raises Refused when it is larger than any configuration."""
    store = machine.store
    named = store.live_digest()
    files: Dict[str, bytes] = {}
    modes: Dict[str, int] = {}
    drift = ""
    if named is not None:
        try:
            files, modes = store.release_files(named), store.modes(named)
        except (OSError, ValueError, KeyError, TypeError):
            drift = "the release that is live is damaged"
    adopted = named is not None
    for name, path in machine.driver.NATIVE_PATHS.items():
        if os.path.islink(path) and os.readlink(path) == through(machine, name):
            continue
        adopted = False
        data = durable.read_if_there(path, LARGEST_ARCHIVE_BYTES)
        if data is None:
            files.pop(name, None)
        else:
            files[name] = data
            modes[name] = 0o600 if os.stat(path).st_mode & 0o040 == 0 else 0o640
        drift = f"{path} does not lead to the live release any more"
    digest = release_digest(files) if files else None
    if named is None:
        drift = ""
    elif not drift and digest != named:
        drift = "the files of the live release were edited by hand"
    return Live(files, modes, digest, adopted, drift)


def flip(machine: Machine, digest: str) -> None:
    """Make `digest` what the balancer reads next: one rename, then the native paths if need be."""
    store = machine.store
    if store.live_digest() != digest:
        target = os.path.join("releases", digest)
        durable.point(machine.steps, "live", store.live, target)
    for name, path in machine.driver.NATIVE_PATHS.items():
        target = through(machine, name)
        if not (os.path.islink(path) and os.readlink(path) == target):
            durable.point(machine.steps, f"native {name}", path, target)


def keep_a_way_back(machine: Machine, digest: str) -> None:
    """Make the link to `digest` beforehand, so that a full disk has room for going back to it."""
    spare, target = machine.store.spare_link, os.path.join("releases", digest)
    # A power loss may lose it; a boot has time.
    durable.point(machine.steps, "way back", spare, target, durably=False)


def flip_back(machine: Machine, digest: str) -> None:
    """Like `flip`, on a disk that may be full: what counts is that the balancer can go back.

    Raises OSError when `digest` could not be made live at all.
    """
    store = machine.store
    try:
        flip(machine, digest)
    except OSError:
        if store.live_digest() != digest:
            if not os.path.islink(store.spare_link):
                raise
            if os.path.basename(os.readlink(store.spare_link)) != digest:
                raise
            machine.steps.run("way back: rename", lambda: os.rename(store.spare_link, store.live))
        for name, path in machine.driver.NATIVE_PATHS.items():
            if not (os.path.islink(path) and os.readlink(path) == through(machine, name)):
                raise


def take_in(machine: Machine, journal: Journal, live: Live) -> str:
    """Keep the bytes that are live as a release, and give its digest; no path changes yet.

    Raises Refused when what runs is not what is on disk: that could not be gone back to.
    """
    if live.digest is None:
        raise Refused(
            "This host has no configuration to go back to",
            where=", ".join(machine.driver.NATIVE_PATHS.values()),
            wanted="a balancer that runs with a configuration",
            got="no file",
            next_step="install the balancer, start it, then run the same command again",
        )
    store = machine.store
    release = Release(live.digest, live.files, live.modes, "", "")
    if store.release_damage(live.digest) is not None:
        folder = store.write_release(release, machine.clock.now())
        try:
            _require_it_runs(machine, folder)
        except Exception:
            store.discard(folder)
            raise
        store.publish_release(folder, live.digest)
    elif not is_loaded(machine, journal, live.digest, machine.driver.loaded()):
        # A takeover that was cut short has proved it.
        _require_it_runs(machine, store.release_dir(live.digest))
    return live.digest


def _require_it_runs(machine: Machine, folder: str) -> None:
    driver, loaded = machine.driver, machine.driver.loaded()
    declared = driver.declared(folder)
    got = ""
    if declared != loaded["pools"]:
        got = difference(declared, loaded["pools"])
    elif not is_newer(machine, loaded):
        got = "the files were changed after the balancer had loaded them"
    if got:
        raise Refused(
            "The running balancer differs from its configuration files",
            where=", ".join(driver.NATIVE_PATHS.values()),
            wanted="a running balancer that has loaded exactly its files",
            got=got,
            next_step="reload the balancer, or restore the file that it runs with",
        )


def difference(declared: Dict[str, Any], running: Dict[str, Any]) -> str:
    """Say in a line how the pools and servers that run differ from those declared."""
    parts = []
    for pool in sorted(set(declared) | set(running)):
        wanted, got = declared.get(pool), running.get(pool)
        if wanted is None or got is None:
            parts.append(f"pool {pool} {'does not run' if got is None else 'is not declared'}")
        elif wanted != got:
            odd = sorted(set(wanted) ^ set(got))
            parts.append(f"pool {pool} differs in {', '.join(odd[:5])}")
    return "; ".join(parts[:5]) or "nothing"


def agrees(machine: Machine, digest: str, loaded: Loaded) -> bool:
    """Tell whether the running worker `loaded` has the pools and servers of release `digest`."""
    try:
        declared = machine.driver.declared(machine.store.release_dir(digest))
    except (OSError, BalancerError):
        return False
    return bool(declared == loaded["pools"])


def is_loaded(machine: Machine, journal: Journal, digest: str, loaded: Loaded) -> bool:
    """Tell whether the running worker has release `digest`, the one that is live, byte for byte.

    It has when it was proven to at its reload, or when it started after the last change of any
    file that it read; and its pools and servers must be the declared ones.
    """
    if not agrees(machine, digest, loaded):
        return False
    worker = {key: loaded[key] for key in ("worker_pid", "worker_started")}
    return journal.loaded == {**worker, "release": digest} or is_newer(machine, loaded)


def is_newer(machine: Machine, loaded: Loaded) -> bool:
    """Tell whether the worker started after everything that it reads was last changed.

    Times are compared on the wall clock, because that is the one which files carry.
    """
    age = machine.clock.boottime() - float(loaded["worker_started"])
    started = machine.clock.wall() - age
    paths = list(machine.driver.NATIVE_PATHS.values())
    named = machine.store.live_digest()
    if named is not None:
        folder = machine.store.release_dir(named)
        paths.append(machine.store.live)
        paths += [os.path.join(folder, name) for name in machine.driver.NATIVE_PATHS]
    return all(_changed(path) <= started for path in paths)


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_ctime
    except OSError:
        return 0.0
