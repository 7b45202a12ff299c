"""One case on the road: render, rehearsal, and the canary where only production can tell."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evenkeel.balancer.dialect import load_dialect
from evenkeel.canary.service import down_by_change
from evenkeel.change.bundle import render_fleet
from evenkeel.change.declarations import Declared
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EvenkeelError, Problems, Refused, UsageError
from evenkeel.intent import normalise, parse_intent
from evenkeel.judge.verdict import FAIL, PASS
from evenkeel.records import read_json, write_atomically
from evenkeel.rehearsal import bundles, ship, staging
from evenkeel.rehearsal.bundles import Settings
from evenkeel.rehearsal.checks import verdicts
from evenkeel.rehearsal.plan import world
from evenkeel.rehearsal.plan.waivers import Policy
from evenkeel.rehearsal.protocol import paths
from evenkeel.verbs.host_facts import Host
from evenkeel.verbs.inventory import read_files
from evenkeel.verbs.render import Request, render
from evenkeel_proof.corpus.cases import CANARY, RENDER, STAGING, Case
from evenkeel_proof.corpus.containers import PROGRAM, Container, container_tests

Files = Mapping[str, bytes]
HOST = "lb1"
MISSED = "missed"
_LONGEST_REASON = 400
_MOST_REASONS = 6


@dataclass
class Result:
    """What became of one case. `stopped_at` is a station, or "" when nothing stopped it."""

    name: str
    kind: str
    wrong: bool
    wanted: str
    stopped_at: str = ""
    verdict: str = PASS
    reasons: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    # What the balancer's own check alone says; None where there is no file for it.
    native_check_stopped: bool | None = None
    trouble: str = ""
    canary: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


class Road:
    """Takes cases through the verbs, in folders of its own below `scratch`."""

    def __init__(self, scratch: Path, role: Path) -> None:
        self.scratch = scratch
        self.role = role
        self.keys = ship.Keys.make()

    def run(self, case: Case, container: Container) -> Result:
        """Take one case as far as it comes; trouble of a container is no verdict.

        Raises UsageError for a case whose edits or intent have no meaning.
        """
        result = Result(case.name, case.kind, case.wrong, case.stop if case.wrong else "")
        began = time.monotonic()
        folder = self.scratch / case.name
        try:
            self._run(case, container, folder, result)
        except UsageError:
            raise
        except EvenkeelError as error:
            result.trouble = str(error)
            container.throw_away()
        result.seconds = round(time.monotonic() - began, 1)
        shutil.rmtree(folder, ignore_errors=True)
        return result

    def by_hand(
        self,
        candidate: Path,
        base: Path | None,
        container: Container,
        declared: Declared | None = None,
    ) -> Result:
        """Rehearse a configuration that a person wrote, over the one that is live now.

        `declared` is what the change waives and intends.

        Raises Refused for a file that cannot be read.
        """
        result = Result(candidate.name, "by hand", wrong=False, wanted="")
        began = time.monotonic()
        new = read_files(candidate, self.role)
        live = read_files(base, self.role) if base else None
        try:
            self._files_by_hand(self.scratch / "by-hand", new, live, declared, container, result)
        except EvenkeelError as error:
            result.trouble = str(error)
        result.seconds = round(time.monotonic() - began, 1)
        return result

    def _files_by_hand(
        self,
        folder: Path,
        new: Files,
        live: Files | None,
        declared: Declared | None,
        container: Container,
        result: Result,
    ) -> None:
        dialect = load_dialect(self.role)
        if live is None or dialect.adapt(live)[1]:
            # What is live does not say it either, so that is not what this change is about.
            new, told = dialect.adapt(new)
            live = dialect.adapt(live)[0] if live else None
            if told:
                lines = ", ".join(told)
                result.notes.append(f"changed for the rehearsal, and demanded of a deploy: {lines}")
        try:
            change = self._render(folder, "change", Host({}, live, None, new), None, declared)
        except Refused as error:
            _stop(result, RENDER, FAIL, ["render"], [str(error)])
            return
        self._judge(self._rehearse(change, container, result), result)

    def _run(self, case: Case, container: Container, folder: Path, result: Result) -> None:
        if case.file:
            name = next(iter(load_dialect(self.role).files))
            live = {name: case.file.encode("utf-8", "surrogateescape")}
            new = {name: case.text(case.file).encode("utf-8", "surrogateescape")}
            self._files_by_hand(folder, new, live, case.declared, container, result)
            return
        live = self._live(case, folder)
        intent = case.intent()
        try:
            template = self._template(case, folder, live)
            host = Host(intent, live, "base")
            change = self._render(folder, "change", host, template, case.declared)
        except Refused as error:
            _stop(result, RENDER, FAIL, ["render"], [str(error)])
            return
        if _files(change) == live and not case.wrong:
            result.notes.append("the files are those that are live")
        self._judge(self._rehearse(change, container, result), result)
        if not result.stopped_at and case.production:
            self._canary(case, change, container, result)

    def _judge(self, bundle: Mapping[str, Any], result: Result) -> None:
        if bundle["unreached"]:
            pools = ", ".join(bundle["unreached"])
            result.notes.append(f"no traffic reached, so nothing is known of: {pools}")
        if bundle["base_said"]:
            result.notes.append(f"what is live does not run here: {bundle['base_said']}")
        if bundle["verdict"] != PASS:
            broken = [one for one in bundle["checks"] if one["verdict"] != PASS]
            reasons = [f"{one['title']}: {'; '.join(one['reasons'])}" for one in broken]
            _stop(result, STAGING, bundle["verdict"], [one["id"] for one in broken], reasons)

    def _live(self, case: Case, folder: Path) -> dict[str, bytes]:
        """Give the files that are live: no rule is asked about them, they are there."""
        try:
            fleet = render_fleet({HOST: case.base}, role_dir=self.role, fleet=(HOST,))
        except Problems as error:
            raise UsageError(
                "The intent that a case starts from has a fault",
                where=f"{case.where}: {error.problems[0].path}",
                wanted=error.problems[0].wanted,
                got=error.problems[0].got,
                next_step="see docs/reference/corpus-cases.md",
            ) from None
        change = ChangeFolder(folder / "changes" / "base")
        for name, data in fleet.files[HOST].items():
            write_atomically(change.bundle / HOST / name, data)
        change.write_json(f"intent/{HOST}.json", fleet.intents[HOST])
        return dict(fleet.files[HOST])

    def _render(
        self,
        folder: Path,
        name: str,
        host: Host,
        own: Path | None,
        declared: Declared | None,
    ) -> ChangeFolder:
        change = ChangeFolder(folder / "changes" / name)
        request = Request(
            folder=change,
            author="corpus",
            title=name,
            balancer_kind=self.role.name.removeprefix("balancer_"),
            role_dir=self.role,
            template=own,
            fleet=(HOST,),
            declared=declared or Declared(),
        )
        render(request, {HOST: host}, write=True)
        return change

    def _template(self, case: Case, folder: Path, live: Mapping[str, bytes]) -> Path | None:
        """Write the edited text as a template of the user's own, which prints just that."""
        name = next(iter(live))
        rendered = live[name].decode()
        if not case.edits_text():
            return None
        if case.intent() != case.base:
            # The text is edited after the intent: what its template would print is needed first.
            plain = render_fleet({HOST: case.intent()}, role_dir=self.role, fleet=(HOST,))
            rendered = plain.files[HOST][name].decode()
        text = case.text(rendered)
        path = folder / "own.j2"
        path.write_text("{% raw %}" + text + "{% endraw %}", encoding="utf-8")
        return path

    def _rehearse(
        self, change: ChangeFolder, container: Container, result: Result
    ) -> dict[str, Any]:
        """Do what the scenario does, in a container that lives on."""
        bundle = bundles.distinct(change.manifest())[0]
        settings = Settings(change.path, change.path / "results", self.role, None)
        settings.results.mkdir()
        target = change.path / "payload"
        ship.payload(bundle, settings, target, self.keys)
        container.take(target)
        container.run(paths.PROGRAM, "prepare")
        # In a world that has the names and addresses of the file, as its host does.
        result.native_check_stopped = not container.run(PROGRAM, "native")["ok"]
        for verb, what in (("converge", "measured"), ("side-effect", "reloads")):
            value = container.run(paths.PROGRAM, verb)
            path = settings.results / f"{bundle.name}.{what}.json"
            path.write_text(json.dumps(value), encoding="utf-8")
            if what == "measured":
                activated = value["after"] is not None
        facts_of_world = read_json(
            settings.results / f"{bundle.name}.world.json", what="The world", next_step="run again"
        )
        facts = container.run(PROGRAM, "facts")
        tests = container_tests(facts_of_world, facts, activated)
        body, _ = staging.judged(bundle, settings.results, tests, Policy(change, self.role))
        return {**body, "verdict": verdicts.verdict_of(body["checks"])}

    def _canary(
        self, case: Case, change: ChangeFolder, container: Container, result: Result
    ) -> None:
        groups = read_json(
            change.path / "forecast.json", what="The forecast", next_step="run again"
        )["groups"]
        order = {
            "production": case.production,
            "policy": groups[0]["policy"],
            "classes": world.build(normalise(parse_intent(case.base)))["classes"],
        }
        seen = container.run(PROGRAM, "canary", stdin=json.dumps(order).encode())
        states = seen.pop("states")
        result.canary = seen
        if seen["verdict"] == PASS:
            # The hosts around it say what the host alone cannot: as the stage of a rollout does.
            down = down_by_change({"canary": states["canary"]}, {"control": states["control"]})
            seen |= {"verdict": FAIL, "reasons": down} if down else {}
        if seen["verdict"] != PASS:
            said = (seen["error"] or {}).get("what", "")
            _stop(result, CANARY, str(seen["verdict"]), ["judge"], [*seen["reasons"], said])


def _stop(
    result: Result, station: str, verdict: str, broken: list[str], reasons: list[str]
) -> None:
    result.stopped_at = station
    result.verdict = verdict
    result.checks = broken
    result.reasons = [reason[:_LONGEST_REASON] for reason in reasons if reason][:_MOST_REASONS]


def _files(change: ChangeFolder) -> dict[str, bytes]:
    folder = change.bundle / HOST
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
