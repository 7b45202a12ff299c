"""The demo's story: six steps on the lab fleet under traffic, each checked as it is told.

A step raises Surprise when something did not go as told; nothing is taken on a command's word
alone: the hosts are asked what is live, and the client how its requests fared.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenkeel.errors import EXIT_OK, EXIT_REFUSED, EXIT_ROLLED_BACK
from evenkeel.remote import arguments
from evenkeel_proof.commands.playbook import Playbooks
from evenkeel_proof.lab.running import Fleet

AUTHOR, APPROVER = "author@lab", "approver@lab"
TAKEOVER, GOOD, SKEWED, NAT, LOST = (
    "takeover",
    "two-more-servers",
    "routine-weights",
    "hash-on-source",
    "longer-timeout",
)
# How long after its lease a host may need to have gone back: a timer's slack, a reload, a look.
REVERT_SLACK_SECONDS = 10.0

Edit = tuple[str, str]


class Surprise(Exception):
    """Something did not go as the story says."""


def expect(as_told: object, otherwise: str) -> None:
    """Raise Surprise with `otherwise` unless it went as told."""
    if not as_told:
        raise Surprise(otherwise)


_SERVER = '        - {{name: web{0}, address: "{{{{ lab.web.web{0} }}}}", port: 80, weight: {1}}}\n'

ADD_SERVERS: list[Edit] = [
    (_SERVER.format(3, 100), "".join(_SERVER.format(n, 100) for n in (3, 4, 5))),
    (
        "      default_pool: web\n",
        "      routes:\n        - {name: api, pool: api, path_prefixes: [/api]}\n"
        "      default_pool: web\n",
    ),
    (
        "  route_tests:\n",
        "    - name: api\n      check: {kind: http, path: /health, expect_status: 200}\n"
        "      servers:\n" + "".join(_SERVER.format(n, 100) for n in (4, 5)) + "  route_tests:\n"
        "    - {name: the api answers, listener: www, host: shop.example, path: /api/items,"
        " expect_pool: api}\n",
    ),
]
# The founding outage: valid, routine, and most goes to one server. Somebody brought the weights
# down from 100 to 10 and forgot the first.
SKEW_WEIGHTS: list[Edit] = [
    (f'web{n} }}}}", port: 80, weight: 100', f'web{n} }}}}", port: 80, weight: 10')
    for n in (2, 3, 4, 5)
]
HASH_ON_SOURCE: list[Edit] = [
    ("      algorithm: {kind: round_robin}\n", "      algorithm: {kind: hash, key: source}\n")
]
LONGER_TIMEOUT: list[Edit] = [
    (
        "  limits: {max_connections: 2000}\n",
        "  limits: {max_connections: 2000}\n  timeouts: {server_seconds: 45}\n",
    )
]


@dataclass
class Story:
    """The lab, the playbooks over it, and what was done so far."""

    fleet: Fleet
    playbooks: Playbooks
    changes: Path
    say: Callable[[str], None]
    edits: list[Edit] = field(default_factory=list)

    def status(self, host: str) -> dict[str, Any]:
        """Ask a host what is live on it."""
        words = arguments("haproxy", "status", {})
        done = self.fleet.exec(host, words[2:])
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def live(self) -> dict[str, str]:
        """Give the change that is live on each host."""
        return {
            host: str((self.status(host).get("live") or {}).get("change"))
            for host in self.fleet.hosts
        }

    def process(self, host: str) -> str:
        """Give the balancer's main process and how often it was restarted, in systemd's words."""
        words = ["systemctl", "show", "--property=MainPID,NRestarts", "haproxy.service"]
        return self.fleet.exec(host, words).stdout.decode()

    def write_intent(self, change: str, edits: Sequence[Edit]) -> Path:
        """Write the lab's intent with these edits made, as an operator's editor would."""
        path = self.fleet.inventory / "group_vars" / "balancers" / "intent.yml"
        text = path.read_text(encoding="utf-8")
        for old, new in [*self.edits, *edits]:
            expect(old in text, f"the lab's intent has no line {old!r}")
            text = text.replace(old, new)
        edited = self.changes / f"{change}.intent.yml"
        edited.write_text(text, encoding="utf-8")
        for old, new in edits:
            for sign, part in (("-", old), ("+", new)):
                for line in part.splitlines():
                    if line not in (new if sign == "-" else old).splitlines():
                        self.say(f"    {sign} {line.strip()}")
        return edited

    def rehearse(self, change: str, edits: Sequence[Edit]) -> tuple[int, str]:
        """Render the change and validate it; give what validate ended with."""
        intent = self.write_intent(change, edits)
        extra = {"change": change, f"@{intent}": f"@{intent}", "change_author": AUTHOR}
        code, _ = self.playbooks.play("render", **extra)
        expect(code == EXIT_OK, f"render ended with {code}")
        return self.playbooks.play("validate", change=change)

    def approve(self, change: str) -> None:
        """Let the second person look and sign."""
        command = [
            str(self.playbooks.root / "scripts" / "approve"), change,
            "--changes-dir", str(self.changes), "--as", APPROVER,
            "--key", str(self.fleet.person("approver")),
            "--allowed-signers", str(self.fleet.allowed_signers), "--yes",
        ]  # fmt: skip
        code, _ = self.playbooks.run(command)
        expect(code == EXIT_OK, f"approve ended with {code}")

    def whole_road(self, change: str, edits: Sequence[Edit]) -> None:
        """Take a change from its edit to a confirmed fleet."""
        code, _ = self.rehearse(change, edits)
        expect(code == EXIT_OK, f"validate ended with {code}")
        self.approve(change)
        code, _ = self.playbooks.play("deploy", change=change)
        expect(code == EXIT_OK, f"deploy ended with {code}")
        expect(set(self.live().values()) == {change}, f"live is {self.live()}")
        self.edits += edits

    def take_over(self) -> str:
        """Step 1: a hand-made configuration becomes a release, without a restart."""
        before = {host: self.process(host) for host in self.fleet.hosts}
        self.whole_road(TAKEOVER, [])
        after = {host: self.process(host) for host in self.fleet.hosts}
        expect(before == after, "a balancer was restarted")
        return "confirmed"

    def good_change(self) -> str:
        """Step 2: two more servers and a new route go the whole road."""
        self.whole_road(GOOD, ADD_SERVERS)
        return "confirmed"

    def skewed_change(self) -> str:
        """Step 3: the routine edit of 2024-06-20 is stopped in the staging container."""
        before = self.live()
        code, said = self.rehearse(SKEWED, SKEW_WEIGHTS)
        expect(code == EXIT_REFUSED, f"validate ended with {code}")
        body = json.loads((self.changes / SKEWED / "staging.json").read_text())["body"]
        expect(body["verdict"] == "fail", f"staging says {body['verdict']}")
        lines = [line for line in said.splitlines() if "pool web" in line and "web1" in line]
        expect(any("→" in line for line in lines), "no shares before → after in the output")
        expect(self.live() == before, "a host was touched")
        return "stopped in staging"

    def nat_change(self) -> str:
        """Step 4: what staging cannot know is caught on the one canary, which goes back."""
        before = self.live()
        code, _ = self.rehearse(NAT, HASH_ON_SOURCE)
        expect(code == EXIT_OK, f"validate ended with {code}")
        self.approve(NAT)
        code, _ = self.playbooks.play("deploy", change=NAT)
        expect(code == EXIT_ROLLED_BACK, f"deploy ended with {code}")
        expect(self.live() == before, f"live is {self.live()}")
        reached = sorted(path.parent.name for path in self._answers(NAT, "activate"))
        canary = next(iter(self.fleet.hosts))
        expect(reached == [canary], f"the change reached {reached}")
        return "reverted on the canary"

    def lost_controller(self) -> str:
        """Step 5: the controller is killed right after the canary was activated."""
        before = self.live()
        code, _ = self.rehearse(LOST, LONGER_TIMEOUT)
        expect(code == EXIT_OK, f"validate ended with {code}")
        self.approve(LOST)
        canary = next(iter(self.fleet.hosts))
        lease = self._kill_controller_after_activation(canary)
        self.say(f"    the controller is dead; {canary} hears from nobody")
        began = time.monotonic()
        while self.status(canary).get("pending"):
            waited = time.monotonic() - began
            expect(waited < lease + REVERT_SLACK_SECONDS, f"unconfirmed after {waited:.0f} s")
            time.sleep(0.5)
        took = time.monotonic() - began
        expect(self.live() == before, f"live is {self.live()}")
        running = self.status(canary).get("running") or {}
        expect(running.get("agrees"), "the running process does not serve what is live")
        return f"reverted by itself in {took:.0f} s (lease {lease:.0f} s)"

    def _kill_controller_after_activation(self, canary: str) -> float:
        command = self.playbooks.command("deploy", {"change": LOST})
        with self.playbooks.start(command) as process:
            sign = self.changes / LOST / "hosts" / canary / "activate.json"
            try:
                while not sign.exists():
                    expect(process.poll() is None, "deploy ended before the canary was activated")
                    time.sleep(0.05)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
        plan = json.loads((self.changes / LOST / "canary" / "plan.json").read_text())
        return float(plan["stages"][0]["lease_seconds"])

    def roll_back(self) -> str:
        """Step 6: one command without an argument takes the fleet to the release before."""
        before = self.live()
        command = [str(self.playbooks.root / "scripts" / "rollback")]
        code, _ = self.playbooks.run([*command, "-e", f"evenkeel_changes_dir={self.changes}"])
        expect(code == EXIT_OK, f"rollback ended with {code}")
        expect(set(before.values()) == {GOOD}, f"live was {before}")
        expect(set(self.live().values()) == {TAKEOVER}, f"live is {self.live()}")
        return "rolled back"

    def _answers(self, change: str, verb: str) -> list[Path]:
        return list((self.changes / change / "hosts").glob(f"*/{verb}.json"))
