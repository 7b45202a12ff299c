"""What a balancer's role says of the faults that only its kind can have: `files/injection.py`."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.errors import Refused

_NAMES = ("IGNORE_RELOADS", "REWEIGHED")


@dataclass(frozen=True)
class RoleFaults:
    """`ignore_reloads` is a Python program for the host that loses the first N reloads.

    It takes N, prints a line when it is in place, and leaves no trace when it gets SIGTERM.
    `reweighed` is what `restore_runtime_state` takes for a server that was given weight 50.
    """

    ignore_reloads: str
    reweighed: dict[str, Any]


def load(role_dir: Path) -> RoleFaults:
    """Load the faults of the role at `role_dir`. Raises Refused, naming it, when it has none."""
    path = role_dir / "files" / "injection.py"
    spec = importlib.util.spec_from_file_location("evenkeel_role_faults", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise _lacks(role_dir, path, "no such file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    missing = [name for name in _NAMES if not hasattr(module, name)]
    if missing:
        raise _lacks(role_dir, path, f"no {', '.join(missing)}")
    return RoleFaults(module.IGNORE_RELOADS, dict(module.REWEIGHED))


def _lacks(role_dir: Path, path: Path, got: str) -> Refused:
    return Refused(
        f"The role {role_dir.name} does not say how its balancer can be made to misbehave",
        where=str(path),
        wanted=", ".join(_NAMES),
        got=got,
        next_step="see docs/how-to/add-a-balancer.md",
    )
