"""The package stands on floors: an import points down, never up, never in a circle."""

import ast
from pathlib import Path

import pytest

from evenkeel.program import driver_files

SOURCE = Path(__file__).parents[2] / "src" / "evenkeel"
PROOF = Path(__file__).parents[2] / "proof" / "evenkeel_proof"
ROLES = sorted((SOURCE.parents[1] / "roles").glob("balancer_*"))
FLOORS = {
    "errors": 1,
    "judge": 1,
    "balancer": 2,
    "host": 2,
    "intent": 2,
    "records": 2,
    "remote": 2,
    "terminal": 2,
    "change": 3,
    "forecast": 3,
    "profile": 3,
    "program": 3,
    "canary": 4,
    "rehearsal": 4,
    "report": 4,
    "containers": 3,
    "ansible_base": 5,
    "verbs": 5,
    "schedule": 5,
    "commands": 6,
}
# Inside one floor an import may only follow this order, so that no circle can form.
BESIDE = {
    ("change", "forecast"),
    ("intent", "balancer"),
    ("intent", "records"),
    ("report", "canary"),
}


# Inside a room that has rooms of its own, an import follows this order; "" is its own files.
INNER_FLOORS = {
    "host": ["errors", "arguments", "system", "state", "verbs", "main", "__main__"],
    "rehearsal": ["protocol", "stubs", "plan", "load", "checks", "run", "", "__main__"],
}

# What proves the product stands beside it, on floors of its own.
PROOF_FLOORS = {
    "house": 1,
    "lab": 1,
    "pages": 1,
    "simulation": 1,
    "corpus": 2,
    "fault_injection": 2,
    "commands": 3,
}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            top = PROOF if path.is_relative_to(PROOF) else SOURCE
            package = path.relative_to(top.parent).with_suffix("").parts[: -node.level]
            yield ".".join([*package, node.module or ""])
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def module_of(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_at_the_top(path):
    """The modules of ours that importing this one imports, by name."""
    known = {module_of(one) for one in SOURCE.rglob("*.py")}
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            each = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= each & known or {node.module} & known
    return found - {module_of(path)}


def room_of(path, top=SOURCE):
    return path.relative_to(top).parts[0].removesuffix(".py")


MODULES = sorted(path for path in SOURCE.rglob("*.py") if room_of(path) != "__init__")


PROOFS = sorted(path for path in PROOF.rglob("*.py") if room_of(path, PROOF) != "__init__")


def ours(path, package="evenkeel"):
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == package and len(parts) > 1:
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


def inner_floor(room, parts):
    order = INNER_FLOORS[room]
    return order.index(parts[0] if parts[0] in order else "")


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room_of(path) in INNER_FLOORS and path.name != "__init__.py"],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_inside_a_room_an_import_points_down(path):
    room, *own = path.relative_to(SOURCE).with_suffix("").parts
    for name in imports_of(path):
        parts = name.split(".")
        if parts[:2] == ["evenkeel", room] and len(parts) > 2 and parts[2] != own[0]:
            assert inner_floor(room, parts[2:]) <= inner_floor(room, own), name


def test_no_import_at_the_top_of_a_module_closes_a_circle():
    left = {module_of(path): imported_at_the_top(path) for path in MODULES}
    while ready := [name for name, needs in left.items() if not needs & set(left)]:
        for name in ready:
            del left[name]
    assert left == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_product_imports_nothing_of_its_proof(path):
    assert not [name for name in imports_of(path) if name.partition(".")[0] == PROOF.name]


@pytest.mark.parametrize("path", PROOFS, ids=lambda path: str(path.relative_to(PROOF)))
def test_an_import_of_the_proof_points_down(path):
    room = room_of(path, PROOF)
    others = {other for other in ours(path, PROOF.name) if other != room}
    assert not {other for other in others if PROOF_FLOORS[other] >= PROOF_FLOORS[room]}


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


@pytest.mark.parametrize(
    "path",
    [
        path
        for role in ROLES
        for path in sorted((role / "files").rglob("*.py"))
        if path not in driver_files(role)
    ],
    ids=lambda path: str(path.relative_to(SOURCE.parents[1])),
)
def test_what_a_role_has_on_the_controller_imports_the_contract_and_the_standard_library(path):
    import sys

    for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 8))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            assert name.split(".")[:2] == ["evenkeel", "balancer"] or (
                name.split(".")[0] in sys.stdlib_module_names
            ), name


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
