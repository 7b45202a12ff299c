"""The dialect: the Python package of a balancer's role that turns an intent into files, and back.

It is `files/dialect.py`, with the folders beside it as its sub-packages. It is loaded by path, as a
package of its own. No name of a balancer is written here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.balancer.types import (
    CatalogueEntry,
    Data,
    Files,
    Finding,
    HandwrittenReading,
    References,
    Unsupported,
)
from evenkeel.errors import Problem, Refused

_NAMES = (
    "FILES",
    "ORDERS",
    "adapt",
    "catalogue",
    "handwritten",
    "readback",
    "references",
    "rules",
    "spread_overrides",
    "unsupported",
    "view",
)


@dataclass(frozen=True)
class Dialect:
    """What a role says about its balancer.

    - `files` maps each file of a release to its template; `orders` is how many orders of servers
      there are.
    - `view(intent, order)` gives what a template prints.
    - `readback(intent, view, texts)` gives the differences between the printed texts and the
      intent, as sentences.
    - `spread(pool, in_service)` gives the share of different keys that a hash, or `random`, sends
      to each server in service, or None. A dialect without it knows none.
    - `rules(files, base_files)` gives what breaks a policy rule in the files of a release, against
      those that are live (None: unknown). `catalogue()` gives every rule.
    - `spread_overrides(files)` gives {pool: why} where lines send clients elsewhere than weights
      and algorithm say.
    - `unchanged(files, base_files)` gives the pools that a change leaves as they are, so the change
      is not blamed for what happens when their servers fail. A dialect without it knows none.
    - `handwritten(files)` reads a configuration that has no intent, and `references(files)` gives
      what the files name.
    - `adapt(files)` gives the files as a host accepts them, and each line that had to change.
    """

    kind: str
    templates: Path
    files: Mapping[str, str]
    orders: int
    view: Callable[[Data, int], dict[str, Any]]
    readback: Callable[[Data, Data, Mapping[str, str]], list[str]]
    rules: Callable[[Files, Files | None], list[Finding]]
    catalogue: Callable[[], list[CatalogueEntry]]
    spread_overrides: Callable[[Files], dict[str, str]]
    handwritten: Callable[[Files], HandwrittenReading]
    references: Callable[[Files], References]
    adapt: Callable[[Files], tuple[dict[str, bytes], list[str]]]
    cannot: Callable[[Data], list[Unsupported]]
    spread: Callable[[Data, list[str]], dict[str, float] | None] | None = None
    unchanged: Callable[[Files, Files], list[str]] | None = None

    def unsupported(self, intent: Data) -> list[Problem]:
        """Give what the balancer cannot do of a normalised intent."""
        return [Problem(one["path"], one["wanted"], one["got"]) for one in self.cannot(intent)]


# Path, time of the last change and bytes of each file of a dialect.
Stamp = frozenset[tuple[str, int, int]]
# A role is loaded by one thread at a time, and again only when a file of it has changed: a render
# asks for it several times, and thirty files take longer to load than to answer.
_LOADING = threading.Lock()
_loaded: dict[Path, tuple[Stamp, Dialect]] = {}


def load_dialect(role_dir: Path) -> Dialect:
    """Load the dialect of the role at `role_dir`, or give the one that was loaded from these files.

    Raises Refused, naming the role, when it has none or when its dialect lacks a name.
    """
    role_dir = role_dir.absolute()
    with _LOADING:
        stamp = _stamp(role_dir)
        known = _loaded.get(role_dir)
        if known is None or known[0] != stamp:
            known = _loaded[role_dir] = (stamp, _load(role_dir))
        return known[1]


def _stamp(role_dir: Path) -> Stamp:
    stamp = set()
    files = role_dir / "files"
    for path in files.rglob("[!.]*.py"):
        # A file that goes away in this moment is one that the next look does not find.
        with contextlib.suppress(FileNotFoundError):
            facts = path.stat()
            stamp.add((path.relative_to(files).as_posix(), facts.st_mtime_ns, facts.st_size))
    return frozenset(stamp)


def _load(role_dir: Path) -> Dialect:
    path = role_dir / "files" / "dialect.py"
    name = "evenkeel_dialect_" + "".join(c if c.isalnum() else "_" for c in role_dir.name)
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)]
    )
    if spec is None or spec.loader is None or not path.is_file():
        raise Refused(
            f"The role {role_dir.name} has no dialect",
            where=str(path),
            wanted="the file files/dialect.py in the role",
            next_step="correct `balancer_kind` in the inventory (docs/how-to/add-a-balancer.md)",
        )
    module = importlib.util.module_from_spec(spec)
    for old in [one for one in sys.modules if one == name or one.startswith(name + ".")]:
        del sys.modules[old]
    sys.modules[name] = module
    spec.loader.exec_module(module)
    missing = [one for one in _NAMES if not hasattr(module, one)]
    if missing:
        raise Refused(
            f"The dialect of the role {role_dir.name} is not complete",
            where=str(path),
            wanted=", ".join(_NAMES),
            got=f"no {', '.join(missing)}",
            next_step="see docs/how-to/add-a-balancer.md",
        )
    return Dialect(
        kind=role_dir.name.removeprefix("balancer_"),
        templates=role_dir / "templates",
        files=dict(module.FILES),
        orders=int(module.ORDERS),
        view=module.view,
        readback=module.readback,
        rules=module.rules,
        catalogue=module.catalogue,
        spread_overrides=module.spread_overrides,
        handwritten=module.handwritten,
        references=module.references,
        adapt=module.adapt,
        cannot=module.unsupported,
        spread=getattr(module, "spread", None),
        unchanged=getattr(module, "unchanged", None),
    )
