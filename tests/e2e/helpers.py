"""What the tests of the road share: a lab with the program installed, changes made ready, looks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from evenkeel_proof.commands.playbook import Playbooks
from evenkeel_proof.lab import client_unit, guests
from evenkeel_proof.lab.running import Fleet

from evenkeel.change import approval, ledger, rollout
from evenkeel.change.bundle import release_archive
from evenkeel.change.folder import ChangeFolder
from evenkeel.records import Record, utc_now, write_record
from evenkeel.remote import arguments

AUTHOR, APPROVER = "author@lab", "approver@lab"
# Upper limits: at this rate a stage is decided within a few seconds.
STAGE = {"hosts": 1, "bake_seconds": 20, "minimum_requests": 60}
AT_ONCE = ({**STAGE, "hosts": "100%"},)
ONE_THEN_ALL = (STAGE, *AT_ONCE)
ONE_BY_ONE = (STAGE, STAGE, STAGE)
# A lease that a busy machine's renewals never let end; one that a test waits for the end of.
LEASE_SECONDS = 30
SHORT_LEASE = ("-e", "canary_lease_seconds=15")
# To each balancer; more of it takes the processor from what is tested.
RATE = 50.0

# A host that was cut off is noticed within 4 seconds instead of 15.
_IMPATIENT = {
    "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s"
    " -o ServerAliveInterval=1 -o ServerAliveCountMax=4",
    "ANSIBLE_TIMEOUT": "3",
}
# Every file that the road may touch on a host, with its inode and times; then the processes that
# serve, and the timers that wait.
_TRACES = (
    "find /var/lib/evenkeel /etc/haproxy ! -name lock ! -path '*/observations*'"
    " -printf '%p %i %T@ %l\\n' 2>/dev/null | sort;"
    " pgrep haproxy; systemctl list-units --type=timer --plain --no-legend 'evenkeel*'"
)
_FORGET = (
    "systemctl stop 'evenkeel-*.timer'; rm -rf /var/lib/evenkeel/haproxy /etc/haproxy/haproxy.cfg;"
    " cat > /etc/haproxy/haproxy.cfg; systemctl reset-failed; systemctl restart haproxy"
)

Intent = dict[str, Any]


def wait_until(happened: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Look until `happened` gives something true, and give it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := happened()):
        assert time.monotonic() < deadline, f"did not happen within {seconds:.0f} s: {what}"
        # Most looks enter a container: more of them take the processor from what is waited for.
        time.sleep(0.3)
    return value


@dataclass(frozen=True)
class Said:
    """How a command ended and all that it said."""

    code: int
    text: str

    def __contains__(self, words: str) -> bool:
        return words in self.text

    def changed(self, task: str) -> set[str]:
        """Give the hosts that a task of this name changed, or would change."""
        parts = [part for part in self.text.split("TASK [") if part.startswith(f"{task}]")]
        return set(re.findall(r"^changed: \[(\S+)\]", "".join(parts), re.MULTILINE))


class Road:
    """The playbooks over a lab whose hosts have the on-host program, and a folder of changes."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self._folder = folder
        self._use(folder / "changes")

    def _use(self, changes: Path) -> None:
        changes.mkdir()
        self.changes = changes
        self.playbooks = Playbooks(
            root=self.fleet.root,
            inventory=self.fleet.inventory,
            log=changes / "playbooks.log",
            environment={**self.fleet.environment, **_IMPATIENT},
            # First, so that whatever a test gives beside it goes before it.
            extra={"@rollout": _rollout(ONE_THEN_ALL), "evenkeel_changes_dir": str(changes)},
            show=lambda line: None,
        )

    @property
    def hosts(self) -> list[str]:
        return list(self.fleet.hosts)

    def install(self) -> None:
        said = self.play("install", ansible_user="admin")
        assert said.code == 0, said.text

    # What a person types.

    def play(self, verb: str, *words: str, stages: Sequence[Any] = (), **extra: str) -> Said:
        """Run a playbook; with `stages` these, and not one host and then the rest."""
        if stages:
            words = ("-e", _rollout(stages), *words)
        return Said(*self.playbooks.play(verb, words, **extra))

    def run(self, *command: str) -> Said:
        return Said(*self.playbooks.run(command))

    def rollback(self, *words: str) -> Said:
        """Run scripts/rollback as an operator does."""
        script = str(self.fleet.root / "scripts" / "rollback")
        return self.run(script, "-e", f"evenkeel_changes_dir={self.changes}", *words)

    def render(self, change: str, intent: Intent, *words: str) -> Said:
        return self.play("render", *self.intent_words(change, intent), *words, change=change)

    def intent_words(self, change: str, intent: Intent) -> tuple[str, ...]:
        """Give the words that make a playbook render this intent and not the inventory's."""
        path = self.changes / f"{change}.intent.json"
        path.write_text(json.dumps({"intent": intent, "change_author": AUTHOR}))
        return "-e", f"@{path}"

    def deploy(self, change: str, *words: str, stages: Sequence[Any] = ()) -> Said:
        """Deploy; with `stages` these, signed for as the ones of this change."""
        if stages:
            self.bind(change, canary_stages=tuple(stages))
        return self.play("deploy", *words, stages=stages, change=change)

    def bind(self, change: str, **rules: Any) -> None:
        """Make these the rules of the change's rollout, and have the second person sign for it."""
        folder = self.folder(change)
        before = rollout.load(folder)
        after = replace(before, **rules)
        if after != before:
            folder.write_json(rollout.FILE, after.as_dict())
            self.approve(folder)

    # A change made ready without the half minute that its rehearsal takes.

    def ready(
        self, change: str, edit: Callable[[Intent], object] = lambda _: None, *words: str
    ) -> ChangeFolder:
        """Render a change, and give it the record of a passed rehearsal and a true approval."""
        said = self.render(change, self.intent(edit), *words)
        assert said.code == 0, said.text
        folder = self.folder(change)
        self.rehearsed(folder)
        self.approve(folder)
        return folder

    def rehearsed(self, folder: ChangeFolder, verdict: str = "pass") -> None:
        now = utc_now()
        record = Record(
            record=ledger.STAGING,
            change_id=folder.change_id,
            digest=folder.verify_bundle(),
            previous=ledger.verify_chain(folder, ledger.RENDER).render.sha256,
            started=now,
            ended=now,
            versions={},
            body={"verdict": verdict, "bundles": []},
        )
        write_record(folder.staging_json, record)

    def approve(self, folder: ChangeFolder) -> None:
        key = self.fleet.person("approver")
        approval.approve(folder, APPROVER, key, self.fleet.allowed_signers)

    def intent(self, edit: Callable[[Intent], object] = lambda _: None) -> Intent:
        """Give the intent of the lab's inventory, its templates as they are, and `edit` in it."""
        path = self.fleet.inventory / "group_vars" / "balancers" / "intent.yml"
        value: Intent = yaml.safe_load(path.read_text())["intent"]
        # A wider band is decided by fewer requests, so in fewer seconds.
        value["guardrails"] = {"share_tolerance": 0.5}
        edit(value)
        return value

    # What a deploy does on a host, without its watch: states to test from, within a second.

    def activate(self, change: str, *hosts: str, lease_seconds: int = 120) -> None:
        folder = self.folder(change)

        def activate(host: str) -> None:
            release = folder.manifest()["hosts"][host]["release"]
            options = {"change": change, "release": release}
            self.on_host(host, "prepare", options, release_archive(folder.path, host))
            self.on_host(host, "activate", {**options, "lease_seconds": lease_seconds})

        self.each(activate, *hosts)

    def confirm(self, change: str, *hosts: str) -> None:
        self.each(lambda host: self.on_host(host, "confirm", {"change": change}), *hosts)

    def confirmed(self, change: str, edit: Callable[[Intent], object] = lambda _: None) -> None:
        """Make a change that every host has live and confirmed."""
        self.ready(change, edit)
        self.activate(change)
        self.confirm(change)

    def on_host(
        self, host: str, verb: str, options: Mapping[str, object], stdin: bytes = b""
    ) -> dict[str, Any]:
        """Run a verb of the on-host program without the controller."""
        done = self.fleet.exec(host, arguments("haproxy", verb, options)[2:], stdin=stdin)
        answer: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == 0, answer
        return answer

    # Looks: nothing is taken on a playbook's word.

    def folder(self, change: str) -> ChangeFolder:
        return ChangeFolder(self.changes / change)

    def outcome(self, change: str) -> dict[str, Any]:
        """Give the body of outcome.json, its whole chain verified."""
        record = ledger.verify_chain(self.folder(change)).outcome
        assert record
        return dict(record.body)

    def status(self, host: str) -> dict[str, Any]:
        return self.on_host(host, "status", {})

    def live(self) -> dict[str, str | None]:
        """Give the change that is live on each host, on disk and in the process that serves."""
        answers = self.each(self.status)
        assert all(answer["running"]["agrees"] for answer in answers.values()), answers
        return {host: answer["live"]["change"] for host, answer in answers.items()}

    def pending(self, host: str) -> str | None:
        return (self.status(host)["pending"] or {}).get("change")

    def traces(self, *hosts: str) -> dict[str, str]:
        """Give all that touching a host would alter: files, processes, timers."""
        return self.each(lambda host: self.shell(host, _TRACES), *hosts)

    def process(self, host: str) -> str:
        """Give the balancer's main process, which a restart would replace."""
        return self.shell(host, "systemctl show -P MainPID haproxy")

    def each(self, look: Callable[[str], Any], *hosts: str) -> dict[str, Any]:
        """Do the same on these hosts (all when none is named), at once."""
        names = hosts or self.hosts
        with ThreadPoolExecutor() as pool:
            return dict(zip(names, pool.map(look, names), strict=True))

    def shell(self, host: str, script: str, stdin: bytes = b"") -> str:
        return self.fleet.exec(host, ["sh", "-c", script], stdin=stdin).stdout.decode()

    def untouched(self, *hosts: str) -> dict[str, Any]:
        """Give all that a deploy would alter on hosts that it only prepared."""
        answers = self.each(self.status, *hosts)
        keys = ("live", "pending", "generations", "running")
        return {host: {key: answer[key] for key in keys} for host, answer in answers.items()}

    # What happens to a fleet.

    def forget(self) -> None:
        """Make hosts and changes what they were before the first one: configured by hand, none."""
        self._use(self._folder / f"changes-{len(list(self._folder.iterdir()))}")
        by_hand = guests.by_hand(self.fleet.web).encode()

        def forget(host: str) -> None:
            self.fleet.heal(host)
            self.shell(host, _FORGET, by_hand)

        self.each(forget)

    @contextmanager
    def traffic(self, rate: float = RATE) -> Iterator[Callable[[], dict[str, Any]]]:
        """Send steady traffic through all balancers; gives a reader of its totals."""
        client_unit.start(self.fleet, rate=rate, seconds=1800)
        try:
            yield lambda: client_unit.read(self.fleet)
        finally:
            client_unit.stop(self.fleet)

    @contextmanager
    def deploying(
        self, change: str, stages: Sequence[Any] = ONE_THEN_ALL, *words: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Deploy in the background; what still runs of it at the end is killed."""
        self.bind(change, canary_stages=tuple(stages))
        words = ("-e", _rollout(stages), *words)
        command = self.playbooks.command("deploy", {"change": change}, words)
        with self.playbooks.start(command) as process:
            try:
                yield process
            finally:
                kill(process)

    def wait_for(self, process: subprocess.Popen[str], happened: Callable[[], Any]) -> None:
        """Wait until something happened under a deploy in the background, which must not end."""

        def look() -> Any:
            done = happened()
            assert done or process.poll() is None, process.stdout and process.stdout.read()
            return done

        wait_until(look, "the deploy got there")

    def end(self, process: subprocess.Popen[str]) -> Said:
        """Wait for the end of a deploy in the background."""
        text, _ = process.communicate(timeout=120)
        return Said(process.returncode, text)

    def is_observed(self, host: str, change: str) -> bool:
        """Whether the host carries the change and was looked at, so that its watch goes on."""
        release = self.folder(change).manifest()["hosts"][host]["release"]
        path = f"/var/lib/evenkeel/haproxy/observations/{change}-{release[:16]}.json"
        return self.fleet.exec(host, ["test", "-e", path]).returncode == 0


def _rollout(stages: Sequence[Any]) -> str:
    return json.dumps({"canary_stages": list(stages), "canary_lease_seconds": LEASE_SECONDS})


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a playbook and all that it started, so that nothing of it has a last word."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def timeout(seconds: int) -> Callable[[Intent], object]:
    """An edit that changes how long a server may take: harmless, and every digest differs."""
    return lambda value: value.update(timeouts={"server_seconds": seconds})


def files(folder: Path) -> Mapping[str, tuple[bytes, int]]:
    """Give every file below `folder`, with its bytes and the time of its last change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }
