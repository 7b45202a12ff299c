"""Golden cases: folders of tests/golden/<balancer> with an intent and the files wanted of it."""

from __future__ import annotations

from pathlib import Path

import yaml

from evenkeel.balancer.dialect import load_dialect
from evenkeel.change.bundle import render_files
from evenkeel.change.printer import Printer
from evenkeel.intent import normalise, parse_intent

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent


def cases(balancer: str) -> list[Path]:
    return sorted(path.parent for path in (GOLDEN / balancer).glob("*/intent.yml"))


def rendered(balancer: str, case: Path) -> dict[str, bytes]:
    """Render a case as its intent.yml says: `intent`, and `order` of the host (0 by default)."""
    data = yaml.safe_load((case / "intent.yml").read_text())
    intent = normalise(parse_intent(data["intent"]))
    dialect = load_dialect(ROOT / "roles" / f"balancer_{balancer}")
    assert dialect.unsupported(intent) == []
    return render_files(intent, data.get("order", 0), dialect, Printer(dialect))
