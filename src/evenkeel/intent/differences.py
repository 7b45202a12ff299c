"""What two normalised intents say differently that no share shows: addresses and extra lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Data = Mapping[str, Any]
# More than a person reads at once; the rest is counted.
_MOST_SHOWN = 8


def moved_servers(old: Data | None, new: Data | None) -> list[dict[str, str]]:
    """Give the servers that both pools have at different endpoints: `server`, `before`, `after`."""
    before, after = ({one["name"]: _endpoint(one) for one in _servers(pool)} for pool in (old, new))
    return [
        {"server": name, "before": before[name], "after": after[name]}
        for name in sorted(set(before) & set(after))
        if before[name] != after[name]
    ]


def extra_lines(before: Data | None, after: Data) -> list[dict[str, Any]]:
    """Give the sections whose extra lines differ: `section`, and how many are `added`, `removed`.

    Both are 0 where only the order differs. With no intent before, all lines count as added.
    """
    old, new = dict(_extras(before) if before else ()), dict(_extras(after))
    rows = []
    for section in sorted(set(old) | set(new)):
        was, will = old.get(section, ()), new.get(section, ())
        if list(was) != list(will):
            gone, come = Counter(was) - Counter(will), Counter(will) - Counter(was)
            rows.append({"section": section, "added": come.total(), "removed": gone.total()})
    return rows


def moves_in_words(pool: str, moves: Sequence[Data]) -> Iterator[str]:
    """Say for a person where servers of `pool` move to."""
    for move in moves[:_MOST_SHOWN]:
        yield f"Pool {pool}: server {move['server']} moves, {move['before']} → {move['after']}"
    if len(moves) > _MOST_SHOWN:
        yield f"Pool {pool}: {len(moves) - _MOST_SHOWN} more servers move to other addresses"


def extra_in_words(row: Data) -> str:
    """Say for a person how the extra lines of one section change."""
    numbers = [f"{row[kind]} {kind}" for kind in ("added", "removed") if row[kind]]
    return f"Extra lines of {row['section']}: {', '.join(numbers) or 'in another order'}"


def _servers(pool: Data | None) -> Sequence[Data]:
    servers: Sequence[Data] = pool["servers"] if pool else ()
    return servers


def _endpoint(server: Data) -> str:
    address = str(server["address"])
    return f"[{address}]:{server['port']}" if ":" in address else f"{address}:{server['port']}"


def _extras(intent: Data) -> Iterator[tuple[str, Sequence[str]]]:
    yield from intent["extra"].items()
    for kind in ("listener", "pool"):
        for part in intent[f"{kind}s"]:
            yield f"{kind} {part['name']}", part["extra"]
