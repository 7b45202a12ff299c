"""Draw scale.svg and the tables of docs/explanation/scale.md from what scripts/judge_bench wrote.

scripts/judge_bench --only fleet --json fleet.json
python -m evenkeel_proof.simulation.scale_page fleet.json
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from evenkeel_proof.simulation.fleet_faults import GOOD
from evenkeel_proof.simulation.fleet_study import COMPARED_RATE, PLANS, RATES

PAGES = Path(__file__).resolve().parents[3] / "docs" / "explanation"
WIDTH, PANEL_HEIGHT, TOP, LEFT, RIGHT = 760.0, 250.0, 66.0, 110.0, 44.0
_SHAPES = {"tenfold": 0, "percent": 2, "one, then all": 3, "all at once": 4}
_STYLE = """\
  <style>
    :root { --card: #ffffff; --edge: #d0d7de; --ink: #1f2328; --soft: #57606a;
            --s0: #0a6b5e; --s1: #2f6fb0; --s2: #8a5a00; --s3: #b3401f; --s4: #8b2c6f;
            --s5: #57606a; }
    @media (prefers-color-scheme: dark) {
      :root { --card: #12171d; --edge: #3a424c; --ink: #e6edf3; --soft: #a4aeb9;
              --s0: #4fc3ae; --s1: #7db7f0; --s2: #e0b050; --s3: #ff9a76; --s4: #e08ac8;
              --s5: #a4aeb9; }
    }
    .card { fill: var(--card); stroke: var(--edge); }
    .grid { stroke: var(--edge); stroke-width: 1; }
    .line { fill: none; stroke-width: 2; }
    text { fill: var(--ink); font-size: 12px; }
    .title { font-size: 15px; font-weight: 700; }
    .soft { fill: var(--soft); }
  </style>
"""

Cells = Mapping[tuple[str, str, float], Mapping[str, Any]]


def main(arguments: Sequence[str]) -> int:
    """Write both files; gives an exit code."""
    fleet = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))["fleet"]
    (PAGES / "scale.svg").write_text(drawing(fleet), encoding="utf-8")
    page = PAGES / "scale.md"
    page.write_text(filled(page.read_text(encoding="utf-8"), fleet), encoding="utf-8")
    return 0


def filled(text: str, fleet: Mapping[str, Any]) -> str:
    """Give the page with each of its tables made anew, between its two marks."""
    for name, table in tables(fleet).items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, rest = text.split(begin)
        after = rest.split(end, 1)[1]
        text = f"{before}{begin}{table}\n{end}{after}"
    return text


def tables(fleet: Mapping[str, Any]) -> dict[str, str]:
    """Give each table of the page by its name."""
    cells = _cells(fleet)
    faults = list(fleet["faults"])
    touched = [
        [plan, *(_touched(cells.get((fault, plan, COMPARED_RATE))) for fault in faults)]
        for plan in PLANS
    ]
    seconds = [
        [fault, *(_seconds(cells.get((fault, "tenfold", rate))) for rate in RATES)]
        for fault in faults
    ]
    good = [
        [plan, f"{rate:g}", _number(cells[GOOD.name, plan, rate]["seconds_passed"])]
        for plan in PLANS
        for rate in RATES
        if (GOOD.name, plan, rate) in cells
    ]
    return {
        "touched": _markdown(["stages", *faults], touched),
        "seconds": _markdown(["fault", *(f"{rate:g} a second" for rate in RATES)], seconds),
        "good": _markdown(["stages", "requests a second", "seconds"], good),
    }


def _cells(fleet: Mapping[str, Any]) -> Cells:
    return {
        (cell["fault"], cell["plan"], cell["rate"]): cell
        for cell in fleet["cells"]
        if not cell["at_random"]
    }


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.0f}"


def _touched(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "not run"
    return "not found" if cell["touched"] is None else _number(cell["touched"])


def _seconds(cell: Mapping[str, Any] | None) -> str:
    if cell is None or cell["seconds"] is None:
        return "not found"
    return f"{_number(cell['seconds'])} (stage {cell['stage']:.0f})"


def drawing(fleet: Mapping[str, Any]) -> str:
    """Give the drawing: requests touched by plan, and seconds to the decision by traffic."""
    cells, faults = _cells(fleet), list(fleet["faults"])
    height = 2 * PANEL_HEIGHT + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" '
        f'width="{WIDTH:g}" height="{height:g}" role="img" aria-labelledby="title desc" '
        "font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\">",
        '  <title id="title">A bad change on a fleet of 10,000 balancers</title>',
        '  <desc id="desc">Above: requests that a bad change touches, by stages. Below: seconds '
        "until it is decided, by traffic. The same figures stand in the tables of scale.md.</desc>",
        _STYLE.rstrip("\n"),
        f'  <rect class="card" width="{WIDTH:g}" height="{height:g}" rx="8"/>',
        *_touched_panel(cells, faults),
        *_seconds_panel(cells, faults, PANEL_HEIGHT + 40),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _touched_panel(cells: Cells, faults: Sequence[str]) -> Iterator[str]:
    title = (
        f"Requests touched until the fleet is back, {COMPARED_RATE:g} a second through each host"
    )
    yield _text(16, 26, title, kind="title")
    for number, plan in enumerate(PLANS):
        begin = 24 + number * 140
        yield _mark(_SHAPES[plan], begin, 44)
        yield _text(begin + 10, 48, plan)
    low, high = 1, 8
    bottom = PANEL_HEIGHT - 4.0
    for power in range(low, high + 1):
        x = _along(10.0**power, low, high)
        yield f'  <path class="grid" d="M{x:.1f} {TOP} V{bottom}"/>'
        yield _text(x, bottom + 16, f"{10**power:,}", anchor="middle", kind="soft")
    step = (bottom - TOP) / len(faults)
    for row, fault in enumerate(faults):
        y = TOP + step * (row + 0.5)
        yield _text(16, y + 4, fault)
        for plan in PLANS:
            cell = cells.get((fault, plan, COMPARED_RATE))
            if cell and cell["touched"]:
                yield _mark(_SHAPES[plan], _along(cell["touched"], low, high), y)


def _seconds_panel(cells: Cells, faults: Sequence[str], top: float) -> Iterator[str]:
    yield _text(16, top + 24, "Seconds to the decision, stages tenfold", kind="title")
    low, high = 0, 4
    first, last = math.log10(RATES[0]), math.log10(RATES[-1])
    bottom, upper = top + PANEL_HEIGHT - 20.0, top + 40.0

    def across(rate: float) -> float:
        return LEFT + (math.log10(rate) - first) / (last - first) * (WIDTH - LEFT - 130)

    def up(seconds: float) -> float:
        return bottom - (math.log10(max(seconds, 1.0)) - low) / (high - low) * (bottom - upper)

    for power in range(low, high + 1):
        y = up(10.0**power)
        yield f'  <path class="grid" d="M{LEFT} {y:.1f} H{across(RATES[-1]):.1f}"/>'
        yield _text(LEFT - 8, y + 4, f"{10**power:,} s", anchor="end", kind="soft")
    for rate in RATES:
        words = f"{rate:g} a second" if rate > 1 else "1 a second through each host"
        yield _text(across(rate), bottom + 17, words, anchor="middle", kind="soft")
    labels: list[tuple[float, int, str]] = []
    for number, fault in enumerate(faults):
        points = [
            (across(rate), up(cell["seconds"]))
            for rate in RATES
            if (cell := cells.get((fault, "tenfold", rate))) and cell["seconds"]
        ]
        if points:
            line = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            yield f'  <path class="line" style="stroke:var(--s{number})" d="M{line}"/>'
            labels.append((points[-1][1] - 20.0, number, fault))
    least = 0.0
    for y, number, fault in sorted(labels):
        # From the top down, each below the one before.
        least = max(y, least + 13.0)
        yield _text(across(RATES[-1]) + 8, least + 4, fault, style=f"fill:var(--s{number})")


def _along(value: float, low: int, high: int) -> float:
    part = (math.log10(max(value, 1.0)) - low) / (high - low)
    return LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - RIGHT)


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", kind: str = "", style: str = ""
) -> str:
    more = f' class="{kind}"' if kind else ""
    more += f' style="{style}"' if style else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"  <text {place}{more}>{escape(words)}</text>"


def _mark(number: int, x: float, y: float) -> str:
    """Give the mark of a plan: a shape and a colour of its own."""
    style = f'style="fill:var(--s{number})"'
    if number == 1:
        return f'  <rect {style} x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>'
    corners = {2: ((0, -6), (6, 5), (-6, 5)), 3: ((0, -7), (7, 0), (0, 7), (-7, 0))}.get(number)
    if number == 4:
        corners = ((0, 6), (6, -5), (-6, -5))
    if corners:
        path = " L".join(f"{x + dx:.1f} {y + dy:.1f}" for dx, dy in corners)
        return f'  <path {style} d="M{path}Z"/>'
    return f'  <circle {style} cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
