"""The figures of scripts/judge_bench as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from evenkeel.terminal import grid, text

Part = tuple[str, Sequence[str], Sequence[Sequence[str]]]


def drawn(value: Mapping[str, Any], targets: Mapping[str, float]) -> Iterator[RenderableType]:
    """Give every part that was measured; each figure with its target where it has one."""
    for key, draw in (
        ("false_alarms", _false_alarms),
        ("detection", _detection),
        ("incidents", _incidents),
        ("requests_to_pass", _passing),
        ("updates", _cost),
        ("fleet", _fleet),
    ):
        if key in value:
            title, header, rows = draw(value, targets)
            yield from (text(title, "bold"), grid(header, rows, numbers=True), "")
    spent = ", ".join(f"{part} {seconds:g} s" for part, seconds in value["seconds"].items())
    facts = value["machine"]
    yield (
        f"Python {facts['python']}, {facts['machine']}, {facts['processes']} processes, "
        f"--runs {facts['runs']}; seeds are the numbers of the runs. Took: {spent}."
    )


def _percent(part: float) -> str:
    return f"{100.0 * part:.1f} %"


def _false_alarms(value: Mapping[str, Any], _targets: Mapping[str, float]) -> Part:
    rows = [
        [
            kind,
            str(row["runs"]),
            _percent(row["judge"]),
            _percent(row["judge_at_most"]),
            _percent(row["judge_by_requests"]),
            _percent(row["chi_square"]),
            _percent(row["mann_whitney"]),
            _percent(row["threshold"]),
            str(row["looks"]),
            str(row["judge_calls"]),
        ]
        for kind, row in value["false_alarms"].items()
    ]
    header = ("traffic", "runs", "judge", "at most", "by requests", "chi-square", "Mann-Whitney",
              "threshold", "looks", "judge asked")  # fmt: skip
    return ("False alarms in even runs of 100,000 requests (target: 1 %)", header, rows)


def _figures(name: str, row: Mapping[str, Any]) -> list[str]:
    keys = ("ratio_mean", "ratio_worst", "median_ratio_mean", "median_ratio_worst")
    return [name, *(f"{row[key]:.2f}" for key in keys)]


def _detection(value: Mapping[str, Any], targets: Mapping[str, float]) -> Part:
    found = value["detection"]
    wanted = [f"{targets['ratio_mean']:g}", f"{targets['ratio_worst']:g}", "", ""]
    rows = [_figures(f"all {found['shifts']} shifts", found), ["target", *wanted]]
    rows += [_figures(shape, row) for shape, row in found["by_shape"].items()]
    rows += [_figures(f"{number} servers", row) for number, row in found["by_servers"].items()]
    if found["scattered_in_large_pools"]:
        rows.append(_figures("apart: scattered, 20+", found["scattered_in_large_pools"]))
    header = ("requests / limit", "mean", "worst", "of medians: mean", "worst")
    return (f"Requests to fail, worst: {found['ratio_worst_name']}", header, rows)


def _incidents(value: Mapping[str, Any], targets: Mapping[str, float]) -> Part:
    rows = [
        [
            row["name"],
            f"{row['limit']:.1f}",
            str(row["median"]),
            f"{row['mean']:.1f}",
            str(row["ninetieth"]),
            str(row["chi_square"]),
            str(row["threshold"]),
        ]
        for row in value["incidents"]
    ]
    header = ("incident", "limit", "median", "mean", "90th", "chi-square", "threshold")
    return (f"Requests to fail (at most {targets['incident_requests']:g})", header, rows)


def _passing(value: Mapping[str, Any], _targets: Mapping[str, float]) -> Part:
    rows = [
        [f"{row['servers']} servers, {row['assigned']}", str(row["median"]), str(row["most"])]
        for row in value["requests_to_pass"]
    ]
    return ("Requests until an even pool passes", ("pool", "median", "most"), rows)


def _cost(value: Mapping[str, Any], _targets: Mapping[str, float]) -> Part:
    rows = [
        [
            f"{row['servers']} servers",
            f"{row['microseconds']:.0f}",
            f"{row['microseconds_per_server']:.2f}",
            _percent(row["part_of_one_core"]),
        ]
        for row in value["updates"]
    ]
    header = ("pool", "us per update", "us per server", "10,000 servers at 1 Hz")
    return ("Cost of an update (target: 5 % of one core)", header, rows)


def _fleet(value: Mapping[str, Any], _targets: Mapping[str, float]) -> Part:
    rows = [
        [
            f"{row['fault']}{', at random' if row['at_random'] else ''}",
            row["plan"],
            f"{row['rate']:g}",
            _percent(row["found"]),
            _number(row["stage"]),
            _number(row["hosts"]),
            _number(row["seconds"] if row["seconds"] is not None else row["seconds_passed"]),
            _number(row["touched"]),
        ]
        for row in value["fleet"]["cells"]
    ]
    header = ("fault", "stages", "rate", "went back", "in stage", "hosts", "seconds", "touched")
    return (f"A fleet of {value['fleet']['hosts']:,} hosts; medians", header, rows)


def _number(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.0f}"
