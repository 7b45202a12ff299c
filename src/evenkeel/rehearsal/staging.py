"""The controller's side of a rehearsal: runs the scenario on a change, and gives its record.

Molecule creates, prepares, converges, verifies and destroys one container per distinct bundle, all
at the same time; this module starts it, reads the measurements and gives the verdicts. A bundle
that fails is a result. A container that did not do its work raises an error: it never passes.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypedDict

from evenkeel.change.folder import ChangeFolder
from evenkeel.containers import images, names, podman
from evenkeel.errors import Refused
from evenkeel.judge.verdict import PASS
from evenkeel.records import read_json
from evenkeel.rehearsal import verifier
from evenkeel.rehearsal.bundles import (
    CHANGE,
    HOSTS,
    LAB,
    LABEL,
    RESULTS,
    ROLE,
    Bundle,
    Settings,
    distinct,
)
from evenkeel.rehearsal.checks import effect, verdicts
from evenkeel.rehearsal.plan.handwritten import as_measured
from evenkeel.rehearsal.plan.waivers import Policy
from evenkeel.rehearsal.protocol.check import Check
from evenkeel.rehearsal.protocol.effect_types import Effect
from evenkeel.rehearsal.protocol.measured_types import Measured, Reloads, Seen
from evenkeel.rehearsal.protocol.world_types import UsedProfile, World

Progress = Callable[[str], None]


class BundleResult(TypedDict):
    """One bundle of the record: what it was rehearsed with, and what came of it."""

    release: str
    base: str | None
    hosts: list[str]
    other_bases: list[str]
    unreached: list[str]
    base_said: str
    traffic: Traffic
    checks: list[Check]
    effect: Effect
    seconds: dict[str, float]


class Traffic(UsedProfile):
    """The profile that a bundle was rehearsed with, and what servers saw of it."""

    seen: Seen | None


class StagingBody(TypedDict):
    """The record of a rehearsal."""

    verdict: str
    bundles: list[BundleResult]
    versions: dict[str, str]
    # {step: seconds}
    seconds: dict[str, float]


RUN_SECONDS = 900
# Each container mostly waits, so run many.
AT_ONCE = 5 * (os.cpu_count() or 1)
_STEP = re.compile(r"\[staging > (\w+)\] Executing$")
_SAYS = {
    "create": "start a sealed container for each distinct bundle",
    "converge": "send traffic, activate the candidate under load, let servers fail, roll back",
    "verify": "verify what was measured and the container itself",
}
_TOOLS = ("ansible-core", "molecule", "pytest-testinfra")
_LARGEST_LOG = 4 * 1024 * 1024
_IMAGE = "EVENKEEL_STAGING_IMAGE"


def rehearse(
    change_dir: Path,
    *,
    hosts: Sequence[str] | None,
    role_dir: Path,
    repo_root: Path,
    progress: Progress,
) -> StagingBody:
    """Rehearse every distinct bundle of the change in `change_dir` (of `hosts`, or of all).

    `progress` gets one line at a time. Raises Refused when the bundle differs from the rendered
    one, or when another rehearsal of this checkout runs; EvenkeelError when a container or a
    tool failed.
    """
    folder = ChangeFolder(change_dir.resolve())
    folder.verify_bundle()
    bundles = distinct(folder.manifest(), hosts)
    among = ", ".join(f"{one.name} ({len(one.hosts)} hosts)" for one in bundles)
    progress(f"rehearse {len(bundles)} distinct bundles of {folder.change_id}: {among}")
    body: StagingBody = {"verdict": "", "bundles": [], "versions": {}, "seconds": {}}
    for tool in _TOOLS:
        with suppress(PackageNotFoundError):
            body["versions"][tool] = version(tool)
    for first in range(0, len(bundles), AT_ONCE):
        _batch(bundles[first : first + AT_ONCE], folder, role_dir, repo_root, progress, body)
    body["verdict"] = verdicts.verdict_of(
        check for bundle in body["bundles"] for check in bundle["checks"]
    )
    for line in dict.fromkeys(
        line for bundle in body["bundles"] for line in effect.lines(bundle["effect"])
    ):
        progress(line)
    return body


def _batch(
    bundles: list[Bundle],
    folder: ChangeFolder,
    role_dir: Path,
    root: Path,
    progress: Progress,
    body: StagingBody,
) -> None:
    """Rehearse some bundles at the same time and add their results to `body`."""
    with _locked(root) as lock, tempfile.TemporaryDirectory(prefix="evenkeel-") as scratch:
        remove_leftovers()
        results = Path(scratch, "results")
        hosts = [host for bundle in bundles for host in bundle.hosts]
        settings = Settings(folder.path, results, role_dir.resolve(), hosts)
        try:
            code, seconds = _molecule(settings, Path(scratch, "run"), root, progress, lock)
        finally:
            remove_leftovers()
        judged_bundles, versions = _read_and_judge(bundles, results, code, Policy(folder, role_dir))
    body["bundles"] += judged_bundles
    body["versions"] |= versions
    for step, took in seconds.items():
        body["seconds"][step] = round(body["seconds"].get(step, 0.0) + took, 1)


def remove_leftovers() -> None:
    """Remove the containers that a killed rehearsal of this checkout left, and no others."""
    label = f"label={LABEL}={names.lab_name()}"
    containers = podman.call(["ps", "--all", "--quiet", "--filter", label])
    podman.remove(containers.decode().split())


@contextmanager
def _locked(root: Path) -> Iterator[int]:
    """Let one rehearsal of this checkout run at a time: they share the containers' names.

    Gives the lock's descriptor. Molecule inherits it, so the processes of a killed run keep the
    lock until they end.
    """
    folder = names.state_folder(names.lab_name(), root)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "staging.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(
                "Another rehearsal of this checkout is running",
                where=str(folder / "staging.lock"),
                next_step="wait until it has ended, and run the same command again",
            ) from None
        yield lock.fileno()


def _molecule(
    settings: Settings, run: Path, root: Path, progress: Progress, lock: int
) -> tuple[int, dict[str, float]]:
    """Run the scenario; gives its exit code and the seconds of each step.

    Its output goes to `molecule.log` among the results.
    """
    settings.results.mkdir(parents=True)
    run.mkdir()
    words = [sys.executable, "-m", "molecule", "test", "-s", "staging", "--no-command-borders"]
    # Leftovers are removed later, all at once.
    words += ["--destroy=never"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "MOLECULE_"))}
    tools = str(Path(sys.executable).parent)
    environment = {
        **kept,
        "PATH": os.pathsep.join([tools, kept.get("PATH", os.defpath)]),
        "PYTHONPATH": str(root / "src"),
        "ANSIBLE_NOCOLOR": "1",
        "NO_COLOR": "1",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(run),
        _IMAGE: kept.get(_IMAGE) or images.image("staging", root),
        LAB: names.lab_name(),
        CHANGE: str(settings.change),
        RESULTS: str(settings.results),
        ROLE: str(settings.role),
        HOSTS: ",".join(settings.hosts or []),
    }
    seconds: dict[str, float] = {}
    step, began = "", time.monotonic()
    with (
        (settings.results / "molecule.log").open("w", encoding="utf-8") as log,
        _started(words, environment, root, lock) as process,
    ):
        assert process.stdout is not None  # noqa: S101 (narrows the type)
        for line in process.stdout:
            if log.tell() < _LARGEST_LOG:
                log.write(line)
            started = _STEP.search(line.rstrip())
            if started and started[1] in _SAYS:
                if step:
                    seconds[step] = round(time.monotonic() - began, 1)
                step, began = started[1], time.monotonic()
                progress(f"staging: {_SAYS[step]}")
        code = process.wait()
    if step:
        seconds[step] = round(time.monotonic() - began, 1)
    return code, seconds


@contextmanager
def _started(
    words: list[str], environment: dict[str, str], cwd: Path, lock: int
) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a group of its own, to end all of it with us or in time."""
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=(lock,),
    )

    def end() -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(RUN_SECONDS, end)
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        end()
        process.wait()


def _read_and_judge(
    bundles: list[Bundle], results: Path, code: int, policy: Policy | None = None
) -> tuple[list[BundleResult], dict[str, str]]:
    """Read what was measured and judge it; raises EvenkeelError when that is not possible."""
    verified = verifier.verified(results)
    made: list[BundleResult] = []
    versions: dict[str, str] = {}
    for bundle in bundles:
        if bundle.name not in verified:
            raise verifier.trouble(results)
        result, used = judged(bundle, results, verified[bundle.name], policy)
        made.append(result)
        versions |= used
    if code and verdicts.verdict_of(check for result in made for check in result["checks"]) == PASS:
        raise verifier.trouble(results)
    return made, versions


def judged(
    bundle: Bundle, results: Path, container: dict[str, str], policy: Policy | None = None
) -> tuple[BundleResult, dict[str, str]]:
    """Judge the measurements of one bundle; gives its part of the record, and the versions.

    `container` has {test: "" or what failed} of the container itself; `policy` is that of the
    change. Raises EvenkeelError when something was not measured.
    """
    world: World = _result(results, bundle, "world")
    measured: Measured = _result(results, bundle, "measured")
    reloads: Reloads = _result(results, bundle, "reloads")
    checks = policy.checks(bundle.hosts) if policy else []
    checks += verdicts.judge(policy.declared_in(world) if policy else world, measured, reloads)
    world = as_measured(world, measured)
    checks.append(verifier.container_check(container))
    return {
        "release": bundle.release,
        "base": bundle.base,
        "hosts": list(bundle.hosts),
        "other_bases": list(bundle.other_bases),
        # Pools without a listener cannot be measured.
        "unreached": world["unreached"],
        # Why the base could not be compared.
        "base_said": measured["base"]["said"],
        # The profile; without a sum it is the default.
        "traffic": {
            **world["profile"],
            "seen": measured["after"]["seen"] if measured["after"] else None,
        },
        "checks": checks,
        "effect": effect.effect(world, measured) if measured["after"] else {},
        "seconds": {"converge": measured["seconds"], "side_effect": reloads["seconds"]},
    }, measured["versions"]


def _result(results: Path, bundle: Bundle, what: str) -> Any:
    """Read one of the files of a bundle, JSON of the type that the caller names."""
    path = results / f"{bundle.name}.{what}.json"
    if not path.exists():
        raise verifier.trouble(results)
    value = read_json(path, what="What was measured", next_step="run the same command again")
    if not isinstance(value, dict):
        raise verifier.trouble(results)
    return verifier.plain(value)
