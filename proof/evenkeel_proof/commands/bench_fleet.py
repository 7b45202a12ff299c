"""The same work on the same hosts in several ways, side by side: what `scripts/bench` times.

Each way puts a new configuration on every host, checked by HAProxy itself and loaded by a reload.
Every run has content of its own, and counts only when each host answers with it afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from evenkeel.change.folder import ChangeFolder
from evenkeel.commands import ROOT
from evenkeel.errors import Refused
from evenkeel.host.system.bytecode import CACHES
from evenkeel.remote import PROGRAM
from evenkeel.verbs import render
from evenkeel.verbs.host_facts import hosts_from_status
from evenkeel.verbs.results import HostAnswer
from evenkeel_proof.commands.bench_lab import cold_connections, lab_intent, marked, served
from evenkeel_proof.lab.inventory import listing
from evenkeel_proof.lab.running import Fleet

BASE = "base"
LEASE_SECONDS = "600"
CONFIG = "/etc/haproxy/haproxy.cfg"
STORE = "/var/lib/evenkeel/haproxy"
PLAYBOOK_SECONDS = 600.0
SERVED_SECONDS = 20.0

# The least that does the work: keep what is there, write, check, move into place, reload.
BARE_DEPLOY = (
    f"sudo -n sh -ec 'cat > {CONFIG}.new; haproxy -c -q -f {CONFIG}.new;"
    f" cp -p {CONFIG} {CONFIG}.before; mv {CONFIG}.new {CONFIG}; systemctl reload haproxy'"
)
BARE_ROLLBACK = (
    f"sudo -n sh -ec 'haproxy -c -q -f {CONFIG}.before;"
    f" mv {CONFIG}.before {CONFIG}; systemctl reload haproxy'"
)
# From our hands into others' and back, between the timed runs.
_LET_GO = f"cp -p {CONFIG} {CONFIG}.copy && mv -T {CONFIG}.copy {CONFIG}"
_TAKE_BACK = f"rm -f {CONFIG}.* && ln -sfn {STORE}/live/haproxy.cfg {CONFIG}"

# How Ansible runs a play for somebody who set nothing.
ANSIBLE_DEFAULTS = {
    "ANSIBLE_FORKS": "5",
    "ANSIBLE_PIPELINING": "False",
    "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=60s",
}


@dataclass
class Bench:
    """The lab, a folder for changes, and the seconds of every timed run by its name."""

    fleet: Fleet
    changes: Path
    say: Callable[[str], None]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def write_inventory(self) -> None:
        """Write the inventory to a file, as that of a real fleet.

        Asking the lab for it, or putting its paths together for each task, takes time that no
        real fleet would need.
        """
        listed = listing(ROOT)
        reached = {
            "ansible_ssh_common_args": shlex.join(self.fleet.ssh_options()),
            "ansible_ssh_private_key_file": str(self.fleet.key("evenkeel")),
        }
        hosts = {name: own | reached for name, own in listed["_meta"]["hostvars"].items()}
        groups = {"vars": listed["all"]["vars"], "children": {"balancers": {"hosts": hosts}}}
        self.hosts.parent.mkdir(parents=True)
        self.hosts.write_text(json.dumps({"all": groups}), encoding="utf-8")
        given = self.fleet.inventory / "group_vars"
        self.hosts.with_name("group_vars").symlink_to(given, target_is_directory=True)

    def prepare(self) -> None:
        """Take the hosts over with the first content, so that every way starts from there."""
        self.render(BASE)
        self.playbook(ROOT / "bench" / "deploy.yml", change=BASE)
        self.confirm(BASE)
        self.demand_served(BASE)

    def run_all(self, number: int) -> None:
        """Run every way once; the order changes from run to run."""
        ways = [self.ours, self.bare_ssh, self.conventional]
        for way in ways if number % 2 else reversed(ways):
            way(number)

    def bytecode(self, number: int) -> None:
        """Time our own way with kept bytecode and without it; the order changes."""
        ways = [self.with_bytecode, self.without_bytecode]
        for way in ways if number % 2 else reversed(ways):
            way(number)

    def with_bytecode(self, number: int) -> None:
        """Time our own way as it is."""
        self.ours(number, "_with_bytecode")

    def without_bytecode(self, number: int) -> None:
        """Time our own way on hosts that cannot keep bytecode: a file is where its folder goes."""
        self.shell(f"rm -rf {CACHES} && touch {CACHES}")
        try:
            self.ours(number, "_without_bytecode")
        finally:
            self.shell(f"rm -rf {CACHES}")
            # The first start makes the bytecode anew: that is no part of a timed run.
            self.program("status")

    def ours(self, number: int, way: str = "") -> None:
        """Time prepare and activate of all hosts, then scripts/rollback of the confirmed change."""
        mark = f"ours{way.replace('_', '-')}-{number}"
        self.render(mark)
        with self.timed(f"deploy{way}"):
            self.playbook(ROOT / "bench" / "deploy.yml", change=mark)
        self.demand_served(mark)
        self.confirm(mark)
        with self.timed(f"rollback{way}"):
            self.run([str(ROOT / "scripts" / "rollback"), *self.inventory(), *self.extra()])
        self.demand_served(BASE)

    def bare_ssh(self, number: int) -> None:
        """Time one fresh connection to every host at once that deploys, and one that restores."""
        mark = f"ssh-{number}"
        bundle = self.render(mark).bundle
        with self.in_other_hands():
            with self.timed("ssh_deploy"):
                self.everywhere(BARE_DEPLOY, lambda host: bundle / host / "haproxy.cfg")
            self.demand_served(mark)
            with self.timed("ssh_rollback"):
                self.everywhere(BARE_ROLLBACK, lambda _: Path(os.devnull))
            self.demand_served(BASE)

    def conventional(self, number: int) -> None:
        """Time the conventional play, whole with Ansible's defaults and its least with our own."""
        ways: dict[str, tuple[str, Mapping[str, str]]] = {
            "conventional": ("false", ANSIBLE_DEFAULTS),
            "conventional_least": ("true", {}),
        }
        for name, (least, environment) in ways.items():
            mark = f"{name.replace('_', '-')}-{number}"
            intent = self.changes / f"{mark}.json"
            intent.write_text(json.dumps({"intent": marked(lab_intent(self.fleet), mark)}))
            extra = {"bench_least": least, "@": str(intent), "ansible_user": "admin"}
            extra["ansible_ssh_private_key_file"] = str(self.fleet.key("admin"))
            with self.in_other_hands():
                with self.timed(name):
                    self.playbook(ROOT / "bench" / "conventional.yml", environment, **extra)
                self.demand_served(mark)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Keep the seconds that the block takes under `name`."""
        began = time.perf_counter()
        yield
        took = time.perf_counter() - began
        self.seconds.setdefault(name, []).append(took)
        self.say(f"  {name:<20} {took:6.2f} s")

    def render(self, mark: str) -> ChangeFolder:
        """Render a change whose content carries `mark`, over what is live on the hosts now."""
        folder = ChangeFolder(self.changes / mark)
        names = list(self.fleet.hosts)
        intent = marked(lab_intent(self.fleet), mark)
        hosts = hosts_from_status(
            names,
            dict.fromkeys(names, intent),
            cast("dict[str, HostAnswer]", self.program("status", "--files")),
        )
        role_dir = ROOT / "roles" / "balancer_haproxy"
        request = render.Request(folder, "bench", mark, "haproxy", role_dir, fleet=tuple(names))
        render.render(request, hosts, write=True)
        return folder

    def confirm(self, change: str) -> None:
        """Confirm the change on every host, outside of the timed runs."""
        self.program("confirm", "--change", change)

    def program(self, *words: str) -> dict[str, dict[str, Any]]:
        """Run a verb of the on-host program on every host as root; give what each answered."""

        def ask(host: str) -> dict[str, Any]:
            done = self.fleet.exec(host, [PROGRAM, "--balancer", "haproxy", *words])
            if done.returncode:
                raise Refused(f"{words[0]} failed", where=host, got=done.stdout.decode()[-500:])
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer

        with ThreadPoolExecutor(4) as pool:
            return dict(zip(self.fleet.hosts, pool.map(ask, self.fleet.hosts), strict=True))

    @property
    def hosts(self) -> Path:
        """The file of the inventory that every play runs with."""
        return self.changes / "inventory" / "hosts.yml"

    def inventory(self) -> list[str]:
        """Give the words that name the inventory."""
        return ["-i", str(self.hosts)]

    def extra(self, **values: str) -> list[str]:
        """Give the words for extra variables; the name "@" stands for a file of them."""
        values = {"evenkeel_changes_dir": str(self.changes), **values}
        pairs = [
            f"@{value}" if name == "@" else f"{name}={value}" for name, value in values.items()
        ]
        return [word for pair in pairs for word in ("-e", pair)]

    def playbook(
        self, path: Path, environment: Mapping[str, str] | None = None, **extra: str
    ) -> None:
        """Run a playbook to its end. Raises Refused when it fails."""
        extra = {"canary_lease_seconds": LEASE_SECONDS, **extra}
        program = str(ROOT / ".venv" / "bin" / "ansible-playbook")
        self.run([program, *self.inventory(), str(path), *self.extra(**extra)], environment)

    def run(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run a command that uses Ansible, every connection opened anew. Raises Refused."""
        with cold_connections() as sockets:
            done = subprocess.run(
                words,
                env={
                    **os.environ,
                    **self.fleet.environment,
                    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                    "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
                    **(environment or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PLAYBOOK_SECONDS,
                check=False,
            )
        if done.returncode:
            said = done.stdout.decode(errors="replace")[-2000:]
            raise Refused(f"{Path(words[0]).name} ended with {done.returncode}", got=said)

    def everywhere(self, command: str, stdin: Callable[[str], Path]) -> None:
        """Run a shell command on every host at once over connections of its own."""
        running = {}
        for host in self.fleet.hosts:
            with stdin(host).open("rb") as data:
                running[host] = subprocess.Popen(
                    [*self.fleet.ssh(host, "admin"), command],
                    stdin=data,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
        for host, process in running.items():
            said = process.communicate(timeout=PLAYBOOK_SECONDS)[0]
            if process.returncode:
                raise Refused("ssh failed", where=host, got=said.decode(errors="replace")[-500:])

    @contextlib.contextmanager
    def in_other_hands(self) -> Iterator[None]:
        """Make the configuration an ordinary file for the block, and ours again after it."""
        self.shell(_LET_GO)
        yield
        self.shell(_TAKE_BACK)
        self.shell("systemctl reload haproxy")
        self.demand_served(BASE)
        until = time.monotonic() + SERVED_SECONDS
        while not all(a["running"]["agrees"] for a in self.program("status").values()):
            if time.monotonic() > until:
                raise Refused("Not every host runs what is live after the other way")
            time.sleep(0.1)

    def shell(self, command: str) -> None:
        """Run a shell command as root on every host, outside of the timed runs."""
        for host in self.fleet.hosts:
            done = self.fleet.exec(host, ["sh", "-c", command])
            if done.returncode:
                raise Refused(f"{command} failed", where=host, got=done.stderr.decode()[-300:])

    def demand_served(self, mark: str) -> None:
        """Wait until every host answers with the content `mark`; a reload takes a moment."""
        until = time.monotonic() + SERVED_SECONDS
        for host, address in self.fleet.hosts.items():
            while (seen := served(address)) != mark:
                if time.monotonic() > until:
                    raise Refused(
                        "A host does not serve the new content", where=host, wanted=mark, got=seen
                    )
                time.sleep(0.02)
