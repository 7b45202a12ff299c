"""What the suite counts: faults injected, how each ended, requests, and the table of it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# What a host that was asked to survive a fault did not survive it as.
STRANDED = "stranded"


class Stranded(Exception):
    """A host is not where a fault may leave it; the text says what was wanted and what is."""


def demand(true: object, sentence: str) -> None:
    """Raise Stranded with `sentence` when what must be true is not."""
    if not true:
        raise Stranded(sentence)


@dataclass(frozen=True)
class Ended:
    """One fault and how it ended. `seconds` is from the end of a lease to the proven revert."""

    part: str
    fault: str
    outcome: str
    detail: str = ""
    seconds: float | None = None


@dataclass
class Tally:
    """The whole run. `say` gets one line for each fault."""

    say: Callable[[str], None] = print
    points: int = 0
    ended: list[Ended] = field(default_factory=list)
    traffic: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def fault(self, part: str, name: str) -> Iterator[Note]:
        """Note how the block's fault ended: as it says itself, or stranded when it raises."""
        note = Note()
        try:
            yield note
            ended = Ended(part, name, note.outcome, note.detail, note.seconds)
        except Exception as wrong:
            # Whatever went wrong in between: a host that was not looked at is no host that is well.
            text = str(wrong) if isinstance(wrong, Stranded) else f"{type(wrong).__name__}: {wrong}"
            ended = Ended(part, name, STRANDED, text[:1000], note.seconds)
        self.ended.append(ended)
        took = "" if ended.seconds is None else f", {ended.seconds:.2f} s after its lease"
        said = f": {ended.detail}" if ended.detail else ""
        self.say(f"  {part}: {name}: {ended.outcome}{took}{said}")

    @property
    def stranded(self) -> list[Ended]:
        """The faults that left a host stranded."""
        return [ended for ended in self.ended if ended.outcome == STRANDED]

    def report(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """Give what --json writes."""
        seconds = [ended.seconds for ended in self.ended if ended.seconds is not None]
        return {
            "machine": dict(machine),
            "points": self.points,
            "injected": len(self.ended),
            "outcomes": dict(sorted(Counter(e.outcome for e in self.ended).items())),
            "parts": dict(Counter(ended.part for ended in self.ended)),
            "stranded": len(self.stranded),
            "requests_total": self.traffic.get("requests", 0),
            "requests_lost": self.traffic.get("lost", 0),
            "slowest_revert_seconds": max(seconds, default=None),
            "traffic": self.traffic,
            "faults": [vars(ended) for ended in self.ended],
        }


@dataclass
class Note:
    """How a fault ended, filled in by who injected it."""

    outcome: str = "as before"
    detail: str = ""
    seconds: float | None = None


def rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give the lines of the table: what, and its figure."""
    traffic = report["traffic"]
    slowest = report["slowest_revert_seconds"]
    lines = [
        ("fault points found", str(report["points"])),
        ("faults injected", str(report["injected"])),
        *((f"  {outcome}", str(number)) for outcome, number in report["outcomes"].items()),
        ("stranded hosts", str(report["stranded"])),
        ("requests", str(report["requests_total"])),
        ("requests lost", str(report["requests_lost"])),
    ]
    if traffic:
        lines += [
            ("  reloads under this traffic", str(traffic["reloads"])),
            ("  idle connections closed, retried", str(traffic["retried"])),
            ("  requests to the drained server", str(traffic["drained"])),
        ]
    lines.append(("slowest revert, s", "none" if slowest is None else f"{slowest:.2f}"))
    return lines
