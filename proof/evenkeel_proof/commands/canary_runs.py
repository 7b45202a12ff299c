"""One change after the other down the road, and what became of each: for scripts/canaries.

All are rendered over the same release, so their rehearsals need not wait for one another: while one
change is deployed the next is rehearsed. A good change is taken back after it was confirmed.
Nothing is taken on a playbook's word: the hosts are asked what is live, and what they keep.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_ROLLED_BACK,
    EvenkeelError,
    Refused,
)
from evenkeel.remote import arguments
from evenkeel_proof.commands.canary_changes import Edit, intent
from evenkeel_proof.commands.playbook import Playbooks
from evenkeel_proof.lab.running import Fleet

AUTHOR, APPROVER = "author@lab", "approver@lab"
BASE = "before-all"
# Upper limits: most are decided in a few seconds.
STAGES = [
    {"hosts": 1, "bake_seconds": 40, "minimum_requests": 200},
    {"hosts": "100%", "bake_seconds": 40, "minimum_requests": 200},
]
LEASE_SECONDS = 15
# What a host keeps of a change that it carried, if only for a moment.
_KEPT = ("live", "pending", "generations", "running", "last")

Row = dict[str, Any]


@dataclass
class Runs:
    """The lab, the folder of its changes, and a place for what the playbooks say."""

    fleet: Fleet
    changes: Path
    say: Callable[[str], None]

    def playbooks(self, log: str) -> Playbooks:
        """Give the playbooks over the lab; all that they say goes to a log of this name."""
        rollout = {"canary_stages": STAGES, "canary_lease_seconds": LEASE_SECONDS}
        return Playbooks(
            root=self.fleet.root,
            inventory=self.fleet.inventory,
            log=self.changes / f"{log}.log",
            environment=self.fleet.environment,
            extra={"@rollout": json.dumps(rollout), "evenkeel_changes_dir": str(self.changes)},
            show=lambda _: None,
        )

    def install(self) -> None:
        """Put the on-host program on every host."""
        self._must("install", *self.playbooks("install").play("install", ansible_user="admin"))

    def take_over(self) -> None:
        """Take the release that all changes are judged beside to every host."""
        edit = Edit(BASE, "", lambda _: None)
        self.render(edit)
        self._must("validate", *self.rehearse(edit))
        code, said = self._deploy(edit)
        self._must("deploy", code, said)

    def render(self, edit: Edit) -> None:
        """Render a change: the intent of all with this one edit."""
        value = intent()
        edit.edit(value)
        path = self.changes / f"{edit.name}.intent.json"
        path.write_text(json.dumps({"intent": value, "change_author": AUTHOR}), encoding="utf-8")
        playbooks = self.playbooks(edit.name)
        words = ("-e", f"@{path}")
        self._must(f"render of {edit.name}", *playbooks.play("render", words, change=edit.name))

    def rehearse(self, edit: Edit) -> tuple[int, str]:
        """Rehearse a change in the staging container; give how that ended."""
        return self.playbooks(edit.name).play("validate", change=edit.name)

    @contextmanager
    def rehearsed(self, edits: Sequence[Edit]) -> Iterator[Iterator[tuple[Edit, int, str]]]:
        """Give each edit with how its rehearsal ended; the next ones are rehearsed meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            waiting = [(edit, pool.submit(self.rehearse, edit)) for edit in edits]
            try:
                yield ((edit, *rehearsal.result()) for edit, rehearsal in waiting)
            finally:
                pool.shutdown(cancel_futures=True)

    def faulty(self, edit: Edit) -> Row:
        """Deploy a change that is wrong; the canary has to revert it, and no other host see it."""
        before = self._kept()
        code, said = self._deploy(edit)
        after = self._kept()
        canary, *others = self.fleet.hosts
        row = self._row(edit, canary)
        row["hosts_touched"] = sum(
            before[host] != after[host] or (self._host(edit, host) / "activate.json").exists()
            for host in others
        )
        back = before[canary]["live"] == after[canary]["live"] and not after[canary]["pending"]
        row["as_wanted"] = (
            code in (EXIT_ROLLED_BACK, EXIT_INCONCLUSIVE) and back and not row["hosts_touched"]
        )
        row["exit_code"] = code
        if not row["as_wanted"]:
            self.say(said[-3000:])
        return row

    def harmless(self, edit: Edit) -> Row:
        """Deploy a good change; every host has to confirm it, and is then taken back."""
        before = self._live()
        code, said = self._deploy(edit)
        live = self._live()
        row = self._row(edit, next(iter(self.fleet.hosts)))
        row["exit_code"] = code
        row["as_wanted"] = code == EXIT_OK and live == dict.fromkeys(self.fleet.hosts, edit.name)
        if not row["as_wanted"]:
            self.say(said[-3000:])
        if live != before:
            self._roll_back(edit)
        return row

    def _deploy(self, edit: Edit) -> tuple[int, str]:
        """Let the second person sign, and deploy."""
        playbooks = self.playbooks(edit.name)
        command = [
            str(self.fleet.root / "scripts" / "approve"), edit.name,
            "--changes-dir", str(self.changes), "--as", APPROVER,
            "--key", str(self.fleet.person("approver")),
            "--allowed-signers", str(self.fleet.allowed_signers), "--yes",
        ]  # fmt: skip
        self._must(f"approval of {edit.name}", *playbooks.run(command))
        began = time.monotonic()
        code, said = playbooks.play("deploy", change=edit.name)
        self.say(f"  {edit.name}: {time.monotonic() - began:.0f} s, exit code {code}")
        return code, said

    def _roll_back(self, edit: Edit) -> None:
        command = [
            str(self.fleet.root / "scripts" / "rollback"), "-e", f"undo={edit.name}",
            "-i", str(self.fleet.inventory), "-e", f"evenkeel_changes_dir={self.changes}",
        ]  # fmt: skip
        self._must(f"rollback of {edit.name}", *self.playbooks(edit.name).run(command))

    def _row(self, edit: Edit, canary: str) -> Row:
        """Give what the record of the first stage says of the canary; the hosts' own answers."""
        path = self.changes / edit.name / "canary" / "1.json"
        row: Row = {"name": edit.name, "what": edit.words}
        if not path.exists():
            return row | {"verdict": "none", "seconds": None, "requests": None, "by": ""}
        body = json.loads(path.read_text(encoding="utf-8"))["body"]
        seen = body["hosts"][canary]
        return row | {
            "verdict": body["verdict"],
            "seconds": seen.get("seconds"),
            "requests": seen.get("requests"),
            "by": "the host" if seen.get("reverted") else "the controller",
            "reasons": body["reasons"],
        }

    def _host(self, edit: Edit, host: str) -> Path:
        return self.changes / edit.name / "hosts" / host

    def _status(self, host: str) -> dict[str, Any]:
        done = self.fleet.exec(host, arguments("haproxy", "status", {})[2:])
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _kept(self) -> dict[str, dict[str, Any]]:
        answers = {host: self._status(host) for host in self.fleet.hosts}
        return {host: {key: one.get(key) for key in _KEPT} for host, one in answers.items()}

    def _live(self) -> dict[str, str]:
        return {
            host: str((kept["live"] or {}).get("change")) for host, kept in self._kept().items()
        }

    def _must(self, what: str, code: int, said: str) -> None:
        if code != EXIT_OK:
            raise Refused(
                f"The {what} did not end as it has to",
                where=str(self.changes),
                wanted="exit code 0",
                got=f"exit code {code}: {said[-1500:]}",
            )


def go(runs: Runs, edits: Sequence[Edit], deploy: Callable[[Edit], Row]) -> list[Row]:
    """Render all `edits`, then rehearse and deploy one after the other; give what became of each.

    One that does not get past its rehearsal is not deployed, and not as wanted. When the run itself
    breaks, so are those that it did not get to.
    """
    rows: list[Row] = []
    try:
        # Rendering waits for the hosts most of the time.
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(runs.render, edits))
        with runs.rehearsed(edits) as rehearsals:
            for edit, code, said in rehearsals:
                if code == EXIT_OK:
                    rows.append(deploy(edit))
                else:
                    runs.say(said[-3000:])
                    rows.append(_not_reached(edit, "staging"))
    except (EvenkeelError, subprocess.SubprocessError) as error:
        runs.say(f"the run broke: {error}")
        rows += [_not_reached(edit, "") for edit in edits[len(rows) :]]
    return rows


def _not_reached(edit: Edit, by: str) -> Row:
    """Give the row of a change that no host was given; `by` is what stopped it."""
    return {
        "name": edit.name, "what": edit.words, "as_wanted": False, "by": by,
        "verdict": "none", "seconds": None, "requests": None, "reasons": [],
    }  # fmt: skip
