"""Containers that live for many cases: the rehearsal's own, with the rehearsal's own program.

Molecule makes a container for each bundle and has the program rehearse it in one go. Here the
program's steps run one by one, in a container that is reset between cases; what they measure goes
to the same checks.
"""

from __future__ import annotations

import fcntl
import io
import json
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evenkeel.containers import images, names, podman
from evenkeel.errors import EvenkeelError, Refused
from evenkeel.program import driver_on_host
from evenkeel.rehearsal import ship
from evenkeel.rehearsal.checks import isolation

LABEL = "evenkeel.corpus"
PROGRAM = "/usr/local/lib/evenkeel/corpus.pyz"
# The 200 servers of the largest intent take a minute on a busy machine.
STEP_SECONDS = 400
LARGEST_ANSWER_BYTES = 256 * 1024 * 1024


class Container:
    """One container, started when it is first needed and thrown away when it is in doubt."""

    def __init__(self, number: int, role: Path) -> None:
        self.name = names.resource(names.lab_name(), f"corpus-{number}")
        self.role = role
        self.balancer = role.name.removeprefix("balancer_")
        self.runs = False

    def _start(self) -> None:
        words = [
            *("run", "--detach", "--replace", "--name", self.name, "--network=none"),
            # As the scenario's own (rehearsal/bundles.py).
            *("--security-opt=no-new-privileges", "--pids-limit=4096"),
            *(f"--label={LABEL}={names.lab_name()}", *podman.systemd()),
            *(images.image("staging"), "/sbin/init"),
        ]
        podman.call(words, timeout=120, wrong="A corpus container could not be started")
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as scratch:
            self._lay_out(Path(scratch))
            podman.call(["cp", f"{scratch}/.", f"{self.name}:/"], wrong="Files were not taken")
        self.runs = True

    def _lay_out(self, top: Path) -> None:
        for name, content in (driver_on_host(self.role), (PROGRAM, _program())):
            path = top / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        # Nobody but root may write to a driver, nor to the folders that it lies in.
        for path in top.rglob("*"):
            path.chmod(0o755)
        top.chmod(0o755)

    def take(self, payload: Path) -> None:
        """Reset the container and lay the tree at `payload` over it."""
        if self.runs:
            try:
                self.run(PROGRAM, "reset", self.balancer)
            except EvenkeelError:
                # What it was used for left something that does not end: a new one is clean.
                self.throw_away()
        if not self.runs:
            self._start()
            self.run(PROGRAM, "reset", self.balancer)
        podman.call(["cp", f"{payload}/.", f"{self.name}:/"], wrong="A bundle was not taken")

    def run(self, program_: str, *words: str, stdin: bytes = b"") -> dict[str, Any]:
        """Run one of our programs inside and give the object that it prints.

        Raises EvenkeelError when the container did not do its work: that is no verdict.
        """
        command = [*podman.command(), "exec", "-i", self.name, "/usr/bin/python3", program_, *words]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, timeout=STEP_SECONDS, check=False
            )
            value = json.loads(done.stdout[:LARGEST_ANSWER_BYTES]) if not done.returncode else None
            said = podman.without_noise(done.stderr)[-600:]
        except subprocess.TimeoutExpired:
            value, said = None, f"no end within {STEP_SECONDS} s"
        except ValueError:
            value, said = None, "what it printed is no JSON"
        if not isinstance(value, dict):
            raise EvenkeelError(
                "A corpus container did not do its work",
                where=f"{self.name}: {words[0]}",
                got=said or "no output",
                next_step="run the same command again",
            )
        return value

    def throw_away(self) -> None:
        """Remove the container; a new one is started for the next case."""
        podman.remove([self.name])
        self.runs = False


def _program() -> bytes:
    """Give the corpus's own program with everything of the rehearsal's, as one zip file."""
    top = Path(__file__).parent
    buffer = io.BytesIO(ship.rehearsal_program())
    result = io.BytesIO()
    with zipfile.ZipFile(buffer) as rehearsal, zipfile.ZipFile(result, "w") as archive:
        for name in rehearsal.namelist():
            if name != "__main__.py":
                archive.writestr(name, rehearsal.read(name))
        archive.writestr("evenkeel_proof/__init__.py", "")
        for name in ("__init__.py", "in_container.py", "client_rates.py"):
            archive.write(top / name, f"evenkeel_proof/corpus/{name}")
        archive.writestr(
            "__main__.py",
            "from evenkeel_proof.corpus.in_container import main\n\nraise SystemExit(main())\n",
        )
    return result.getvalue()


@contextmanager
def kept(count: int, role: Path) -> Iterator[Sequence[Container]]:
    """Give `count` containers and remove them at the end; one run of a checkout at a time.

    Raises Refused when another run of this checkout is at work.
    """
    folder = names.state_folder(names.lab_name())
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "corpus.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(
                "Another run of the corpus of this checkout is at work",
                where=str(folder / "corpus.lock"),
                next_step="wait until it has ended, or set EVENKEEL_LAB to another name",
            ) from None
        remove_leftovers()
        try:
            yield [Container(number, role) for number in range(count)]
        finally:
            remove_leftovers()


def remove_leftovers() -> None:
    """Remove the corpus containers of this checkout, also those of a run that was killed."""
    label = f"label={LABEL}={names.lab_name()}"
    podman.remove(podman.call(["ps", "--all", "--quiet", "--filter", label]).decode().split())


def container_tests(world: Mapping[str, Any], facts: Mapping[str, Any], activated: bool) -> Any:
    """Give {test: "" or what failed}, as the scenario's verifier finds it."""
    wanted = {name: one["sha256"] for name, one in world["files"].items()} if activated else {}
    other = [name for name, sha256 in wanted.items() if facts["sums"].get(name) != sha256]
    unit = facts["unit"]
    return {
        "test_the_bytes_on_disk_are_those_of_the_manifest": ", ".join(other),
        "test_the_balancer_runs_under_its_unit": "" if unit == "active" else unit or "nothing",
        "test_no_network_but_the_container_s_own": isolation.network(facts["links"]),
        "test_no_right_that_reaches_out_of_the_container": isolation.rights(facts["status"]),
        "test_nothing_of_the_controller_is_mounted": isolation.mounts(facts["mounts"]),
    }
