"""A deploy as it goes, drawn as lines of text: pure, from what `look` read of the folder.

The hosts of the stage under way come with their part in it, requests, verdict so far and what is
left of their lease; each server of a pool with its share on its band:

    lb1  canary   733 requests  0 errors  inconclusive  lease 7 s
      web  web1   33.3 %  ........------===|=====----.....  of 33.3 %
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from evenkeel.canary.hold import HELD, open_hold
from evenkeel.canary.plan import Plan, load
from evenkeel.canary.progress import FOLDER
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_INCONCLUSIVE, one_line, readable
from evenkeel.records import read_json
from evenkeel.report.shares import band_rows
from evenkeel.report.words import said

Object = Mapping[str, Any]

ROLES = ("canary", "carrier", "control")
# A slice takes 3 seconds and a round trip; longer without a word is worth a word.
SILENT_SECONDS = 15
NARROWEST, TRACK = 40, 32
MOST_SERVERS = 8
_COLOURS = {"pass": "32", "fail": "31", "inconclusive": "33", "no data": "33", HELD: "33"}


@dataclass(frozen=True)
class View:
    """One look at a deploy. `hosts` is what the hosts of the stage under way saw so far."""

    change_id: str
    plan: Plan | None = None
    stage: int = 0
    verdicts: Mapping[int, str] = field(default_factory=dict)
    hosts: Sequence[Object] = ()
    held_until: str = ""
    outcome: Object = field(default_factory=dict)

    @property
    def exit_code(self) -> int | None:
        """What the deploy ended with; None while it goes on."""
        if self.outcome:
            return int(self.outcome.get("exit_code", 0))
        return EXIT_INCONCLUSIVE if self.held_until else None


def look(folder: ChangeFolder) -> View:
    """Read how far the deploy of a change is; raises Refused for a damaged or missing one."""
    folder.require_exists()
    if not folder.plan_json.exists():
        return View(folder.change_id)
    plan, hold = load(folder), open_hold(folder)
    chain = ledger.verify_chain(
        folder, ledger.OUTCOME if folder.outcome_json.exists() else ledger.CANARY
    )
    begun = [stage.number for stage in plan.stages if folder.stage_results(stage.number).is_dir()]
    stage = max([*begun, len(chain.canary)], default=0)
    view = View(
        change_id=folder.change_id,
        plan=plan,
        stage=stage,
        verdicts={n: str(record.body.get("verdict")) for n, record in enumerate(chain.canary, 1)},
        hosts=_hosts(folder, stage),
        held_until=str(hold.body["until"]) if hold else "",
        outcome=chain.outcome.body if chain.outcome else {},
    )
    with readable(f"What hosts saw of {folder.change_id}", folder.plan_json.parent):
        # Whoever draws it later meets nothing then that cannot be drawn.
        _ = view.exit_code, draw(view, datetime.now(UTC), width=NARROWEST)
    return view


def _hosts(folder: ChangeFolder, stage: int) -> list[Object]:
    paths = sorted((folder.stage_results(stage) / FOLDER).glob("*.json"))
    rows: list[Object] = [
        read_json(path, what=f"What {path.stem} saw so far", next_step="wait for its next look")
        for path in paths
    ]
    with readable("What hosts saw", folder.stage_results(stage)):
        return sorted(rows, key=lambda row: ROLES.index(row["role"]) if row["role"] in ROLES else 9)


def draw(
    view: View, now: datetime, *, width: int, height: int = 0, colour: bool = False
) -> list[str]:
    """Give the lines of the whole picture: at most `width` columns, and `height` lines if given.

    Without `colour` they hold printed characters alone.
    """
    lines = [_clip(line, width) for line in _lines(view, now, width)]
    if height and len(lines) > height:
        more = len(lines) - height + 1
        lines = [*lines[: height - 1], _clip(f"and {more} more lines", width)]
    return [_painted(line) for line in lines] if colour else lines


def _lines(view: View, now: datetime, width: int) -> Iterator[str]:
    yield headline(view)
    yield from _outcomes(view)
    for host in [] if view.outcome else view.hosts:
        yield host_line(host, now, leased=not view.held_until)
        yield from _pools(host, width)


def _outcomes(view: View) -> list[str]:
    return [f"{host}  {state}" for host, state in (view.outcome.get("hosts") or {}).items()]


def headline(view: View) -> str:
    """Say in one line how far the deploy is."""
    if view.outcome:
        code = view.outcome.get("exit_code")
        return f"change {view.change_id}: {said(view.outcome.get('outcome'))} (exit code {code})"
    if view.plan is None or not view.stage:
        return f"change {view.change_id}: not begun"
    stage = view.plan.stage(view.stage)
    about = f"stage {view.stage} of {len(view.plan.stages)}: {', '.join(stage.hosts)}"
    if view.held_until:
        return f"change {view.change_id}: held until {view.held_until}, {about}"
    verdict = view.verdicts.get(view.stage)
    if verdict:
        return f"change {view.change_id}: {about}: {said(verdict)}"
    seconds = max([float(host["seconds"]) for host in view.hosts], default=0.0)
    return f"change {view.change_id}: {about}, {seconds:.0f} of at most {stage.bake_seconds} s"


def host_line(host: Object, now: datetime, *, leased: bool = True) -> str:
    """Say in one line what a host saw so far, with what is left of its lease if it is `leased`."""
    age, probes = _seconds_since(host["at"], now), host.get("probes")
    parts = [
        f"{host['host']}  {host['role']:<7}",
        f"{host['requests']} requests" + (f" ({probes} probes)" if probes else ""),
        f"{host['errors']} errors",
    ]
    if host["role"] != "control":
        parts.append(said(host["verdict"] or "no data"))
    if host["reverted"]:
        parts.append("reverted")
    elif host["lease_seconds"] and leased:
        left = float(host["lease_seconds"]) - _seconds_since(host["renewed"], now)
        parts.append(f"lease {max(0.0, left):.0f} s")
    if age > SILENT_SECONDS and leased:
        parts.append(f"no word for {age:.0f} s")
    return "  ".join(parts)


def _seconds_since(moment: object, now: datetime) -> float:
    return max(0.0, (now - datetime.fromisoformat(str(moment))).total_seconds())


def _pools(host: Object, width: int) -> Iterator[str]:
    if host["role"] == "control":
        return
    for name, pool in sorted(host["pools"].items()):
        rows = band_rows(pool)
        longest = max((len(row["server"]) for row in rows), default=0)
        for row in rows[:MOST_SERVERS]:
            head = f"  {name}  {row['server']:<{longest}}  {row['share']:>7}  "
            tail = f"  of {row['intended']}"
            track = min(TRACK, width - len(head) - len(tail))
            yield head + (_track(row, track) + tail if track >= 8 else f"of {row['intended']}")
        unit = pool.get("unit")
        if unit not in (None, "requests"):
            yield f"  {name}  shares of {unit}"
        if len(rows) > MOST_SERVERS:
            yield f"  {name}  and {len(rows) - MOST_SERVERS} more servers"


def _track(row: Object, width: int) -> str:
    """Draw a share (|) with its interval (=) on its band (-)."""

    def columns(left: float, length: float) -> range:
        first = int(left * (width - 1) / 100)
        return range(first, int((left + length) * (width - 1) / 100) + 1)

    cells = ["."] * width
    for sign, left, length in (
        ("-", row["band_left"], row["band_width"]),
        ("=", row["interval_left"], row["interval_width"]),
        ("|", row["share_left"], 0.0),
    ):
        for column in columns(left, length):
            cells[min(column, width - 1)] = sign
    return "".join(cells)


def _clip(line: str, width: int) -> str:
    """Give `line` without what could move a cursor, in at most `width` columns."""
    clean = one_line(line)
    return clean if len(clean) <= width else clean[: max(0, width - 1)] + "…"


def _painted(line: str) -> str:
    for word, colour in _COLOURS.items():
        line = line.replace(f"  {word}", f"  \x1b[{colour}m{word}\x1b[0m", 1)
    return line


def news(before: View | None, view: View, now: datetime) -> Iterable[str]:
    """Give the lines that a log gets: what is new in `view` since the look `before`."""
    if before is None or headline(before).split(",")[0] != headline(view).split(",")[0]:
        yield one_line(headline(view))
    known = {host["host"]: host["at"] for host in before.hosts} if before else {}
    for host in [] if view.outcome else view.hosts:
        if known.get(host["host"]) != host["at"]:
            yield one_line(host_line(host, now, leased=not view.held_until))
    yield from map(one_line, _outcomes(view))
