"""Compare the addresses and extra lines of two normalised intents; shares show neither."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

Data = Mapping[str, Any]
_MOST_SHOWN = 8


class Move(TypedDict):
    """A server whose address or port changes."""

    server: str
    before: str
    after: str


class ExtraChange(TypedDict):
    """How many extra lines of a section are added and removed."""

    section: str
    added: int
    removed: int


def moved_servers(old: Data | None, new: Data | None) -> list[Move]:
    """Give the servers of both pools whose address or port differs."""
    before, after = (
        {server["name"]: _endpoint(server) for server in (pool["servers"] if pool else ())}
        for pool in (old, new)
    )
    return [
        {"server": name, "before": before[name], "after": after[name]}
        for name in sorted(set(before) & set(after))
        if before[name] != after[name]
    ]


def extra_lines(before: Data | None, after: Data) -> list[ExtraChange]:
    """Give the sections whose extra lines differ.

    Both counts are 0 where only the order differs. Without `before`, all lines count as added.
    """
    old, new = dict(_extras(before) if before else ()), dict(_extras(after))
    rows: list[ExtraChange] = []
    for section in sorted(set(old) | set(new)):
        was, will = old.get(section, ()), new.get(section, ())
        if list(was) != list(will):
            gone, come = Counter(was) - Counter(will), Counter(will) - Counter(was)
            rows.append({"section": section, "added": come.total(), "removed": gone.total()})
    return rows


def moves_in_words(pool: str, moves: Sequence[Move]) -> Iterator[str]:
    """Describe for people where servers of `pool` move to; long lists end with a count."""
    for move in moves[:_MOST_SHOWN]:
        yield f"Pool {pool}: server {move['server']} moves, {move['before']} → {move['after']}"
    if len(moves) > _MOST_SHOWN:
        yield f"Pool {pool}: {len(moves) - _MOST_SHOWN} more servers move to other addresses"


def extra_in_words(row: ExtraChange) -> str:
    """Describe for people how the extra lines of one section change."""
    counts = {"added": row["added"], "removed": row["removed"]}
    numbers = [f"{count} {kind}" for kind, count in counts.items() if count]
    return f"Extra lines of {row['section']}: {', '.join(numbers) or 'in another order'}"


def _endpoint(server: Data) -> str:
    address = str(server["address"])
    return f"[{address}]:{server['port']}" if ":" in address else f"{address}:{server['port']}"


def _extras(intent: Data) -> Iterator[tuple[str, Sequence[str]]]:
    yield from intent["extra"].items()
    for kind in ("listener", "pool"):
        for part in intent[f"{kind}s"]:
            yield f"{kind} {part['name']}", part["extra"]
