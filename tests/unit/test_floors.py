"""The package stands on floors: an import points down, never up, never in a circle."""

import ast
from pathlib import Path

import pytest

from evenkeel.program import driver_files

SOURCE = Path(__file__).parents[2] / "src" / "evenkeel"
ROLES = sorted((SOURCE.parents[1] / "roles").glob("balancer_*"))
FLOORS = {
    "errors": 1,
    "judge": 1,
    "host": 2,
    "intent": 2,
    "measuring": 5,
    "records": 2,
    "remote": 2,
    "change": 3,
    "forecast": 3,
    "profile": 3,
    "program": 3,
    "canary": 4,
    "faults": 4,
    "rehearsal": 4,
    "report": 4,
    "lab": 3,
    "ansible_base": 5,
    "verbs": 5,
    "schedule": 5,
    "corpus": 5,
    "commands": 6,
}
# Inside one floor an import may only follow this order, so that no circle can form.
BESIDE = {
    ("change", "forecast"),
    ("corpus", "verbs"),
    ("intent", "records"),
    ("report", "canary"),
}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = path.relative_to(SOURCE.parent).with_suffix("").parts[: -node.level]
            yield ".".join([*package, node.module or ""])
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


MODULES = sorted(path for path in SOURCE.rglob("*.py") if room_of(path) != "__init__")


def ours(path):
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "evenkeel" and len(parts) > 1:
            yield parts[1]


def test_every_room_stands_on_a_floor():
    assert {room_of(path) for path in MODULES} <= set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_an_import_points_down(path):
    room = room_of(path)
    wrong = {
        other
        for other in ours(path)
        if other != room and FLOORS[other] >= FLOORS[room] and (room, other) not in BESIDE
    }
    assert not wrong, f"{room} (floor {FLOORS[room]}) must not import {sorted(wrong)}"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room_of(path) in ("host", "judge")],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_what_runs_on_hosts_imports_the_standard_library_and_the_judge_alone(path):
    import sys

    for name in imports_of(path):
        top = name.split(".")[0]
        if top == "evenkeel":
            allowed = {"host", "judge"} if room_of(path) == "host" else {"judge"}
            assert name.split(".")[1] in allowed
        else:
            assert top in sys.stdlib_module_names


@pytest.mark.parametrize(
    "path",
    [
        *(path for path in MODULES if room_of(path) in ("host", "judge")),
        *(path for role in ROLES for path in driver_files(role)),
    ],
    ids=lambda path: str(path.relative_to(SOURCE.parents[1])),
)
def test_what_runs_on_hosts_keeps_to_the_syntax_of_python_3_8(path):
    ast.parse(path.read_text(), feature_version=(3, 8))


# Where Ansible comes in, and its runner.
DOORS = {"ansible_base.py", "commands/play.py", "schedule/runner.py"}


def test_ansible_is_known_at_its_doors_alone():
    knows = {
        path.relative_to(SOURCE).as_posix()
        for path in MODULES
        if any(name.partition(".")[0] in ("ansible", "ansible_runner") for name in imports_of(path))
    }
    assert knows == DOORS


def test_no_unit_test_needs_ansible():
    tests = sorted(Path(__file__).parent.rglob("*.py"))
    doors = {"ansible", "evenkeel.ansible_base", "evenkeel.commands.play"}
    for path in tests:
        assert not {name for name in imports_of(path) if name in doors or "ansible." in name}, path
