"""A balancer's dialect: the Python file of its role that turns an intent into what is printed.

A role's dialect is `files/dialect.py`. It is loaded by path, as a package of its own, so that it
may import a file beside it; no name of a balancer stands here.
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

from evenkeel.errors import Problem, Refused

_NAMES = (
    "FILES",
    "ORDERS",
    "acceptable",
    "by_hand",
    "catalogue",
    "faults",
    "misprints",
    "needs",
    "rules",
    "spread_otherwise",
    "view",
)
Data = Mapping[str, Any]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Dialect:
    """What a role says about its balancer.

    `files` maps each file of a release to its template, `orders` is how many orders of servers
    there are. `view(intent, order)` gives what a template prints. `faults(intent)` gives what the
    balancer cannot do (`path`, `wanted`, `got`). `misprints(intent, view, texts)` gives the
    differences between what was printed and what is wanted. `spread(pool, in_service)` gives the
    share of different keys that a hash, or `random`, sends to each server in service, or None; a
    dialect without it knows none.

    `rules(files, base_files)` gives what breaks a policy rule in the files of a release, against
    those that are live (or None): dicts of `rule`, `severity` ("stop" or "tell"), `live_already`,
    `subject`, `pool`, `server`, `listener`, `file`, `line`, `text`, `title`, `got`, `reason` and
    `next_step`. `catalogue()` gives every rule. `spread_otherwise(files)` gives {pool: why} where
    lines of the files send clients elsewhere than weights and algorithm say.

    `unchanged(files, base_files)` gives the pools that a change leaves as they are, so that what
    happens to them when servers fail is not its doing; a dialect without it knows none.

    `by_hand(files)` reads a configuration that has no intent, `needs(files)` gives the files that
    it names, and `acceptable(files)` adds what a host demands (see docs/how-to/add-a-balancer.md).
    """

    kind: str
    templates: Path
    files: Mapping[str, str]
    orders: int
    view: Callable[[Data, int], dict[str, Any]]
    faults: Callable[[Data], list[Mapping[str, str]]]
    misprints: Callable[[Data, Data, Mapping[str, str]], list[str]]
    rules: Callable[[Files, Files | None], list[dict[str, Any]]]
    catalogue: Callable[[], list[dict[str, str]]]
    spread_otherwise: Callable[[Files], dict[str, str]]
    by_hand: Callable[[Files], dict[str, Any]]
    needs: Callable[[Files], dict[str, list[str]]]
    acceptable: Callable[[Files], tuple[dict[str, bytes], list[str]]]
    spread: Callable[[Data, list[str]], dict[str, float] | None] | None = None
    unchanged: Callable[[Files, Files], list[str]] | None = None

    def broken(self, intent: Data) -> list[Problem]:
        """Give what the balancer cannot do of a normalised intent."""
        return [Problem(one["path"], one["wanted"], one["got"]) for one in self.faults(intent)]


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
        faults=module.faults,
        misprints=module.misprints,
        rules=module.rules,
        catalogue=module.catalogue,
        spread_otherwise=module.spread_otherwise,
        by_hand=module.by_hand,
        needs=module.needs,
        acceptable=module.acceptable,
        spread=getattr(module, "spread", None),
        unchanged=getattr(module, "unchanged", None),
    )
