"""Cases: a small edit to a realistic intent, what is wrong with it, and where it must be stopped.

docs/reference/corpus-cases.md describes the format. A file holds one case, or a list of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from evenkeel.change import declarations
from evenkeel.change.declarations import Declared
from evenkeel.errors import Problems, UsageError
from evenkeel_proof.corpus import edits

RENDER, STAGING, CANARY, ALERT = STATIONS = ("render", "staging", "canary", "alert")
_OF_TEXTS = set(edits.OF_TEXTS)
LARGEST_FILE_BYTES = 4 * 1024 * 1024
_KEYS = {"name", "intent", "file", "class", "wrong", "harmless", "stop", "edits", "production"}
# What a change declares beside its intent, as `-e` gives it on the road (docs/reference/policy.md).
_DECLARED = {"waivers", "intended_shifts"}
# What production is like where the staging container cannot know it, with its least and most.
_PRODUCTION = {
    "clients": (1, 1_000_000),
    "keys": (1, 1_000_000),
    "concurrency": (1, 2000),
}


@dataclass(frozen=True)
class Case:
    """One change. `wrong` says what is wrong with it, or is empty for a harmless one.

    `intent` is what the edits start from, `stop` the last station that may let it pass.
    `production` is how the users' traffic and servers differ from what the container assumes,
    `declared` what the change waives and which shifts it intends.
    """

    name: str
    kind: str
    says: str
    wrong: bool
    stop: str
    base: Mapping[str, Any]
    edits: Sequence[Mapping[str, Any]]
    where: str
    production: Mapping[str, Any] = field(default_factory=dict)
    declared: Declared = field(default_factory=Declared)
    # A configuration that somebody wrote by hand; then there is no intent.
    file: str = ""

    def intent(self) -> dict[str, Any]:
        """Give the intent after the edits; raises UsageError for a place that is not there."""
        return edits.edit_intent(self.base, self.edits, self.where)

    def edits_text(self) -> bool:
        """Whether there are edits of the rendered text: what only a template of one's own does."""
        return any(kind in edit for edit in self.edits for kind in edits.OF_TEXTS)

    def text(self, rendered: str) -> str:
        """Give the rendered text after the edits of the text."""
        return edits.edit_text(rendered, self.edits, self.where)


def load(path: Path) -> list[Case]:
    """Read the cases of one file; raises UsageError for whatever is wrong with it."""
    value = _yaml(path)
    items = value if isinstance(value, list) else [value]
    found = [_case(item, path) for item in items]
    twice = {case.name for case in found if sum(one.name == case.name for one in found) > 1}
    if twice or not found:
        raise UsageError(
            "The cases of a file need names of their own",
            where=str(path),
            wanted="at least one case, each with its own name",
            got=", ".join(sorted(twice)) or "none",
        )
    return found


def load_all(folder: Path) -> list[Case]:
    """Read every case below `folder`; raises UsageError for a name that two of them have."""
    found: dict[str, Case] = {}
    for path in sorted(folder.glob("*/*.yml")):
        if path.parent.name in ("intents", "files"):
            continue
        for case in load(path):
            if case.name in found:
                raise UsageError(
                    "Two cases have one name",
                    where=f"{path} and {found[case.name].where}",
                    wanted="a name of its own for each case",
                    got=case.name,
                )
            found[case.name] = case
    return list(found.values())


def _case(item: object, path: Path) -> Case:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise _wrong(path, "a mapping with a name", repr(item)[:120])
    where = f"{path}: {item['name']}"
    unknown = set(map(str, item)) - _KEYS - _DECLARED
    if unknown:
        known = ", ".join(sorted(_KEYS | _DECLARED))
        raise _wrong(where, f"keys out of {known}", ", ".join(sorted(unknown)))
    if ("wrong" in item) == ("harmless" in item):
        raise _wrong(where, "wrong or harmless, with a sentence", "both or neither")
    wrong = "wrong" in item
    says, stop = item.get("wrong", item.get("harmless")), item.get("stop", STAGING)
    if not isinstance(says, str) or not says.strip():
        raise _wrong(where, "a sentence that says what is wrong, or why nothing is", repr(says))
    if stop not in STATIONS or ("stop" in item and not wrong):
        raise _wrong(where, f"stop: one of {', '.join(STATIONS)}, of a wrong case", repr(stop))
    listed = item.get("edits")
    if not isinstance(listed, list) or not listed:
        raise _wrong(where, "edits: a list of at least one", repr(listed)[:120])
    by_hand = "file" in item
    if by_hand and ("intent" in item or "production" in item or set(_kinds(listed)) - _OF_TEXTS):
        raise _wrong(where, "a file with edits of its text alone", "an intent or production too")
    return Case(
        name=item["name"],
        kind=str(item.get("class") or "other"),
        says=says.strip(),
        wrong=wrong,
        stop=stop,
        base={} if by_hand else _base(item.get("intent"), path, where),
        edits=[edits.checked(edit, where) for edit in listed],
        where=where,
        production=_production(item.get("production", {}), where),
        declared=_declared({key: item[key] for key in _DECLARED & set(item)}, where),
        file=_configuration(item["file"], path, where) if by_hand else "",
    )


def _kinds(listed: list[Any]) -> Iterator[str]:
    for edit in listed:
        if isinstance(edit, dict):
            yield from (kind for kind in (*edits.OF_INTENTS, *edits.OF_TEXTS) if kind in edit)


def _configuration(given: object, path: Path, where: str) -> str:
    """Give the text of a configuration: of a name in `files`, or of a path beside the case."""
    here = path.resolve().parent
    for folder in (here, here.parent / "files"):
        one = folder / str(given)
        if isinstance(given, str) and one.is_file():
            if one.stat().st_size > LARGEST_FILE_BYTES:
                raise _wrong(where, f"at most {LARGEST_FILE_BYTES} bytes", str(one))
            return one.read_text(encoding="utf-8", errors="surrogateescape")
    raise _wrong(where, "file: the name of a file in files, or a path", repr(given)[:120])


def load_declared(path: Path) -> Declared:
    """Read `waivers` and `intended_shifts` from a file; raises UsageError for anything else."""
    value = _yaml(path)
    if not isinstance(value, dict) or set(value) - _DECLARED:
        raise _wrong(path, f"a mapping with {' and '.join(sorted(_DECLARED))}", repr(value)[:80])
    return _declared(value, str(path))


def _declared(values: Mapping[str, Any], where: str) -> Declared:
    try:
        return declarations.read(values)
    except Problems as error:
        first = error.problems[0]
        raise _wrong(f"{where}: {first.path}", first.wanted, first.got) from None


def _production(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, "production: a mapping", repr(value)[:120])
    for name, given in value.items():
        if name in _PRODUCTION:
            least, most = _PRODUCTION[name]
            if isinstance(given, int) and not isinstance(given, bool) and least <= given <= most:
                continue
            raise _wrong(where, f"production/{name}: {least} to {most}", repr(given)[:80])
        if name == "absent" and isinstance(given, list) and all(map(_is_text, given)):
            continue
        if name == "health" and isinstance(given, dict) and all(map(_is_text, given)):
            continue
        known = ", ".join([*_PRODUCTION, "absent", "health"])
        raise _wrong(where, f"production: {known}", f"{name}: {given!r}"[:120])
    return dict(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _base(given: object, path: Path, where: str) -> Mapping[str, Any]:
    """Give the intent that a case starts from: a name in `intents`, a path, or the data itself."""
    if isinstance(given, dict):
        return given
    if not isinstance(given, str):
        raise _wrong(where, "intent: a name, a path or an intent", repr(given)[:80])
    here = path.resolve().parent
    known = Path(__file__).resolve().parents[3] / "tests" / "corpus" / "intents"
    for one in (here / given, here.parent / "intents" / f"{given}.yml", known / f"{given}.yml"):
        if one.is_file():
            value = _yaml(one)
            if isinstance(value, dict) and isinstance(value.get("intent"), dict):
                value = value["intent"]
            if isinstance(value, dict):
                return value
    raise _wrong(where, f"intent: the name of a file in {known}, or a path", given[:120])


def _yaml(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise _wrong(path, f"at most {LARGEST_FILE_BYTES} bytes", "more")
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, "a file that can be read", str(error.strerror)) from None
    except UnicodeDecodeError:
        raise _wrong(path, "YAML in UTF-8", "other bytes") from None
    except yaml.YAMLError as error:
        raise _wrong(path, "YAML", " ".join(str(error).split())[:200]) from None


def _wrong(where: object, wanted: str, got: str) -> UsageError:
    return UsageError(
        "This is no case for the corpus",
        where=str(where),
        wanted=wanted,
        got=got,
        next_step="see docs/reference/corpus-cases.md",
    )
