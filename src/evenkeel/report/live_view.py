"""A deploy while it runs, drawn from what `look` read of its folder.

Each host of the running stage has its role, requests, verdict so far and the rest of its lease;
each server of a pool has its share, drawn on its band:

    lb1  canary   733 requests  0 errors  inconclusive  lease 7 s
      web  web1   33.3 %  ........------===|=====----.....  of 33.3 %
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from evenkeel.canary.hold import open_hold
from evenkeel.canary.plan import Plan, load
from evenkeel.canary.progress import FOLDER
from evenkeel.change import ledger
from evenkeel.change.folder import ChangeFolder
from evenkeel.errors import EXIT_INCONCLUSIVE, readable
from evenkeel.records import read_json
from evenkeel.report.bars import BandRow, band_rows
from evenkeel.report.tones import STYLES, said, tone
from evenkeel.terminal import plain, text

Object = Mapping[str, Any]

ROLES = ("canary", "carrier", "control")
# A slice takes 3 seconds and a round trip.
SILENT_SECONDS = 15
SHORTEST_TRACK, LONGEST_TRACK = 6, 32
MOST_SERVERS = 8


class Progress(TypedDict):
    """What one host saw so far, as `canary.progress` writes it."""

    host: str
    role: str
    renewed: str
    at: str
    seconds: float
    lease_seconds: float
    verdict: str | None
    reverted: bool
    requests: int
    errors: int
    probes: int
    pools: dict[str, Object]


@dataclass(frozen=True)
class View:
    """One look at a deploy. `hosts` is what the hosts of the running stage saw so far."""

    change_id: str
    plan: Plan | None = None
    stage: int = 0
    verdicts: Mapping[int, str] = field(default_factory=dict)
    hosts: Sequence[Progress] = ()
    held_until: str = ""
    outcome: Object = field(default_factory=dict)

    @property
    def exit_code(self) -> int | None:
        """The exit code that the deploy ended with; None while it runs."""
        if self.outcome:
            return int(self.outcome.get("exit_code", 0))
        return EXIT_INCONCLUSIVE if self.held_until else None


def look(folder: ChangeFolder) -> View:
    """Read how far the deploy of a change is; raises Refused for a missing or damaged folder."""
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
        # A file of another shape is found here, not while drawing.
        _ = view.exit_code, plain(*draw(view, datetime.now(UTC)))
    return view


def _hosts(folder: ChangeFolder, stage: int) -> list[Progress]:
    paths = sorted((folder.stage_results(stage) / FOLDER).glob("*.json"))
    rows: list[Progress] = [
        read_json(path, what=f"The progress of {path.stem}", next_step="wait for its next look")
        for path in paths
    ]
    with readable("What hosts saw", folder.stage_results(stage)):
        return sorted(rows, key=lambda row: ROLES.index(row["role"]) if row["role"] in ROLES else 9)


@dataclass(frozen=True)
class Picture:
    """A view as rich draws it: never higher than the terminal, which then would scroll."""

    view: View
    now: datetime

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the lines of the picture, the last of them free for the cursor."""
        parts = Group(*draw(self.view, self.now))
        lines = console.render_lines(parts, options.update(height=None), pad=False)
        room = max(3, options.size.height - 1)
        if len(lines) > room:
            more = text(f"and {len(lines) - room + 1} more lines")
            lines = [*lines[: room - 1], *console.render_lines(more, options, pad=False)]
        for line in lines:
            yield from line
            yield Segment.line()


def draw(view: View, now: datetime) -> Iterator[Text | Table]:
    """Give the parts of the picture from top to bottom."""
    yield text(headline(view), "bold")
    yield from _outcomes(view)
    for host in [] if view.outcome else view.hosts:
        yield host_line(host, now, leased=not view.held_until)
        yield from _pools(host)


def _outcomes(view: View) -> list[Text]:
    hosts = view.outcome.get("hosts") or {}
    return [text(f"{host}  {state}", STYLES[tone(state)]) for host, state in hosts.items()]


def headline(view: View) -> str:
    """Say in one line how far the deploy is."""
    if view.outcome:
        code = view.outcome.get("exit_code")
        return f"change {view.change_id}: {said(view.outcome.get('outcome'))} (exit code {code})"
    if view.plan is None or not view.stage:
        return f"change {view.change_id}: not started"
    stage = view.plan.stage(view.stage)
    about = f"stage {view.stage} of {len(view.plan.stages)}: {', '.join(stage.hosts)}"
    if view.held_until:
        return f"change {view.change_id}: held until {view.held_until}, {about}"
    verdict = view.verdicts.get(view.stage)
    if verdict:
        return f"change {view.change_id}: {about}: {said(verdict)}"
    seconds = max((float(host["seconds"]) for host in view.hosts), default=0.0)
    return f"change {view.change_id}: {about}, {seconds:.0f} of at most {stage.bake_seconds} s"


def host_line(host: Progress, now: datetime, *, leased: bool = True) -> Text:
    """Give one line for what a host saw so far, with the rest of its lease if it is `leased`."""
    silent, probes = _seconds_since(host["at"], now), host.get("probes")
    parts = [
        text(f"{host['host']}  {host['role']:<7}"),
        text(f"{host['requests']} requests" + (f" ({probes} probes)" if probes else "")),
        text(f"{host['errors']} errors"),
    ]
    if host["role"] != "control":
        verdict = host["verdict"] or "no_data"
        parts.append(text(said(verdict), STYLES[tone(verdict)]))
    if host["reverted"]:
        parts.append(text("reverted", STYLES["warn"]))
    elif host["lease_seconds"] and leased:
        left = float(host["lease_seconds"]) - _seconds_since(host["renewed"], now)
        parts.append(text(f"lease {max(0.0, left):.0f} s"))
    if silent > SILENT_SECONDS and leased:
        parts.append(text(f"no answer for {silent:.0f} s", STYLES["warn"]))
    return Text("  ").join(parts)


def _seconds_since(moment: object, now: datetime) -> float:
    return max(0.0, (now - datetime.fromisoformat(str(moment))).total_seconds())


def _pools(host: Progress) -> Iterator[Text | Table]:
    for name, pool in sorted(host["pools"].items()) if host["role"] != "control" else ():
        rows = band_rows(pool)
        drawn = Table.grid(padding=(0, 2, 0, 0))
        drawn.add_column(overflow="fold")
        drawn.add_column(overflow="fold")
        drawn.add_column(justify="right", no_wrap=True)
        drawn.add_column(min_width=SHORTEST_TRACK)
        drawn.add_column(no_wrap=True)
        for row in rows[:MOST_SERVERS]:
            share = text(row["share"], STYLES["bad"] if row["outside"] else "")
            cells = text(f"  {name}"), text(row["server"]), share
            drawn.add_row(*cells, Track(row), text(f"of {row['intended']}"))
        if rows:
            yield drawn
        unit = pool.get("unit")
        if unit not in (None, "requests"):
            yield text(f"  {name}  shares of {unit}")
        if len(rows) > MOST_SERVERS:
            yield text(f"  {name}  and {len(rows) - MOST_SERVERS} more servers")


@dataclass(frozen=True)
class Track:
    """A share (|) with its interval (=) on its band (-), as wide as there is room."""

    row: BandRow

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Give the least and the most columns."""
        del console
        return Measurement(SHORTEST_TRACK, LONGEST_TRACK).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the track in at most the columns of `options`."""
        del console
        width, row = min(LONGEST_TRACK, options.max_width), self.row
        cells = ["."] * width
        for sign, left, length in (
            ("-", row["band_left"], row["band_width"]),
            ("=", row["interval_left"], row["interval_width"]),
            ("|", row["share_left"], 0.0),
        ):
            first, last = (int(end * (width - 1) / 100) for end in (left, left + length))
            for column in range(first, last + 1):
                cells[min(column, width - 1)] = sign
        track = Text("".join(cells))
        track.highlight_regex(r"\.+", "dim")
        track.highlight_regex(r"[=|]+", "red" if row["outside"] else "green")
        yield track


def news(before: View | None, view: View, now: datetime) -> Iterable[str]:
    """Give the lines that a log gets: what is new in `view` since the look `before`."""
    if before is None or headline(before).split(",")[0] != headline(view).split(",")[0]:
        yield text(headline(view)).plain
    known = {host["host"]: host["at"] for host in before.hosts} if before else {}
    for host in [] if view.outcome else view.hosts:
        if known.get(host["host"]) != host["at"]:
            yield host_line(host, now, leased=not view.held_until).plain
    yield from (line.plain for line in _outcomes(view))
