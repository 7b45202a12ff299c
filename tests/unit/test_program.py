import ast
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path
from unittest.mock import Mock

import pytest

import evenkeel
from evenkeel import program
from evenkeel.errors import Refused
from evenkeel.host.system.driver import DRIVERS
from evenkeel.host.system.fingerprint import word_of
from evenkeel.program import build, build_driver, driver_files, driver_on_host, program_bytes
from evenkeel.verbs.controller import act
from evenkeel.verbs.fleet import require_idle

SOURCE = Path(evenkeel.__file__).parent
ROOT = SOURCE.parents[1]
ROLES = sorted((ROOT / "roles").glob("balancer_*"))


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "evenkeel"
    for room in ("judge", "host"):
        shutil.copytree(SOURCE / room, copy / room)
    for path in copy.rglob("*.py"):
        os.utime(path, (time.time() - 1e6, time.time() - 1e6))
    assert program_bytes(copy) == program_bytes()
    assert build(tmp_path / "one") == build(tmp_path / "two")
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o755


def test_other_sources_give_other_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "evenkeel"
    for room in ("judge", "host"):
        shutil.copytree(SOURCE / room, copy / room)
    (copy / "host" / "more.py").write_text("")
    assert program_bytes(copy) != program_bytes()


def test_it_runs_alone_and_answers_in_json(tmp_path: Path) -> None:
    build(tmp_path / "evenkeel-host")
    done = subprocess.run(
        [sys.executable, "-IS", tmp_path / "evenkeel-host", "nonsense"],
        capture_output=True,
        cwd=tmp_path,
        timeout=30,
    )
    assert done.returncode == 2 and json.loads(done.stdout)["ok"] is False
    assert done.stderr == b""


@pytest.mark.parametrize("output", [">&-", ">/dev/full"])
def test_without_anybody_who_listens_it_ends_with_its_own_code(tmp_path: Path, output: str) -> None:
    build(tmp_path / "evenkeel-host")
    done = subprocess.run(
        f'exec "{sys.executable}" -IS "{tmp_path}/evenkeel-host" nonsense {output}',
        shell=True,
        capture_output=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (2, b"")


def test_what_is_shipped_keeps_to_python_3_8_and_the_standard_library() -> None:
    shipped = [*(SOURCE / "host").rglob("*.py"), *(p for role in ROLES for p in driver_files(role))]
    allowed = {*sys.stdlib_module_names, "evenkeel"}
    for path in shipped:
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [] if node.level else [node.module or ""]
            for name in names:
                assert name.split(".")[0] in allowed, (path, name)
                if name.startswith("evenkeel"):
                    assert name.split(".")[1] in ("host", "judge"), (path, name)


def beside(role: Path, path: Path) -> set[str]:
    """The modules of the role that one of its files imports, below `files/`."""
    top = role / "files"
    package = path.relative_to(top).with_suffix("").parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            at = [*package[: -node.level], *(node.module or "").split(".")]
            named = top.joinpath(*filter(None, at))
            if named.is_dir():
                own = {alias.name for alias in node.names if (named / f"{alias.name}.py").is_file()}
                found |= {(named / f"{name}.py").relative_to(top).as_posix() for name in own}
                found |= set() if own else {(named / "__init__.py").relative_to(top).as_posix()}
            else:
                found.add(named.with_suffix(".py").relative_to(top).as_posix())
    return found


def driver_modules(role: Path) -> dict[str, Path]:
    return {path.relative_to(role / "files").as_posix(): path for path in driver_files(role)}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_files_of_a_driver_are_those_that_it_imports_and_no_others(role: Path) -> None:
    files = driver_modules(role)
    reached, new = set(), {"driver/__init__.py"}
    while new:
        reached |= new
        new = {name for one in new for name in beside(role, files[one])} - reached
    assert reached | {"config/__init__.py"} == set(files)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_a_driver_shares_with_the_controller_imports_nothing_else_of_the_role(
    role: Path,
) -> None:
    for name, path in driver_modules(role).items():
        if name.startswith("config/"):
            assert all(one.startswith("config/") for one in beside(role, path)), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_other_file_of_the_role_imports_one_of_the_driver(role: Path) -> None:
    for path in (role / "files").rglob("*.py"):
        if path.relative_to(role / "files").parts[0] != "driver":
            assert not {one for one in beside(role, path) if one.startswith("driver/")}, path


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_no_file_of_a_driver_imports_one_that_imports_it(role: Path) -> None:
    left = {name: beside(role, path) for name, path in driver_modules(role).items()}
    while ready := [name for name, needs in left.items() if not needs & set(left)]:
        for name in ready:
            del left[name]
    assert left == {}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_driver_on_a_host_has_these_files_and_no_others(role: Path) -> None:
    path, data = driver_on_host(role)
    kind = role.name.removeprefix("balancer_")
    assert path == f"{DRIVERS}/{kind}.zip"
    package = f"evenkeel_driver_{kind}"
    wanted = {f"{package}/{name}": path.read_bytes() for name, path in driver_modules(role).items()}
    with zipfile.ZipFile(BytesIO(data)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {f"{package}/__init__.py": b"", **wanted}


def a_role(top: Path, name: str = "balancer_x") -> Path:
    files = top / name / "files"
    for room in ("driver", "config"):
        (files / room).mkdir(parents=True)
    for file in ("driver/__init__.py", "driver/part.py", "config/words.py", "dialect.py"):
        (files / file).write_text(f"NAME = {file!r}\n")
    return files.parent


def test_the_same_driver_has_the_same_bytes_and_another_has_others(tmp_path: Path) -> None:
    role, copy = a_role(tmp_path), a_role(tmp_path / "copy")
    for path in copy.rglob("*"):
        os.utime(path, (time.time() - 1e6, time.time() - 1e6))
        path.chmod(0o700)
    first = build_driver(role, tmp_path / "one")
    first_bytes = first.read_bytes()
    assert first.name == "x.zip" and first.stat().st_mode & 0o777 == 0o644
    assert first_bytes == build_driver(copy, tmp_path / "two").read_bytes()
    before = first.stat().st_ino
    (role / "files" / "dialect.py").write_text("")
    assert build_driver(role, tmp_path / "one").stat().st_ino == before
    (role / "files" / "driver" / "part.py").write_text("")
    assert build_driver(role, tmp_path / "one").read_bytes() != first_bytes


def test_the_drivers_of_all_hosts_of_a_play_are_built_and_of_no_others(tmp_path: Path) -> None:
    for name in ("balancer_x", "balancer_y", "balancer_z"):
        a_role(tmp_path / "roles", name)
    kinds = {"lb1": "x", "lb2": "y", "lb3": "x"}
    hosts = {
        "ansible_play_hosts_all": list(kinds),
        "hostvars": {name: {"balancer_kind": kind} for name, kind in kinds.items()},
    }
    arguments = {
        "verb": "build_program",
        "output": str(tmp_path / "built" / "program"),
        "roles": str(tmp_path / "roles"),
    }
    assert act(Mock(check_mode=False), arguments, hosts)["changed"]
    assert {path.name for path in (tmp_path / "built" / "drivers").iterdir()} == {"x.zip", "y.zip"}
    assert not act(Mock(check_mode=False), arguments, hosts)["changed"]
    (tmp_path / "roles" / "balancer_y" / "files" / "driver" / "part.py").write_text("")
    assert act(Mock(check_mode=False), arguments, hosts)["changed"]
    hosts["hostvars"]["lb3"] = {"balancer_kind": "none"}
    with pytest.raises(Refused, match="balancer_none"):
        act(Mock(check_mode=False), arguments, hosts)


def test_the_build_changes_with_the_program_and_with_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = a_role(tmp_path)
    first = program.build_of(role)
    assert program.build_of(a_role(tmp_path / "copy")) == first
    monkeypatch.setattr(program, "program_bytes", lambda: b"another")
    second = program.build_of(role)
    (role / "files" / "driver" / "part.py").write_text("")
    assert len({first, second, program.build_of(role)}) == 3


def test_the_build_changes_with_every_file_of_the_program(tmp_path: Path) -> None:
    for room in program.ROOMS:
        shutil.copytree(SOURCE / room, tmp_path / room)
    seen = {word_of([program.program_bytes(tmp_path)])}
    files = [file for room in program.ROOMS for file in (tmp_path / room).rglob("*.py")]
    for file in files:
        text = file.read_text()
        file.write_text(text.replace("e", "a", 1))
        seen.add(word_of([program.program_bytes(tmp_path)]))
        file.write_text(text)
    assert len(seen) == 1 + len(files)


WATCHING = {"pending": {"change": "c1"}, "build": "b1"}


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        "[]",
        "[" * 200_000,
        '{"pending": ["x"], "build": 1}',
        '{"pending": "x"}',
        json.dumps(WATCHING),
        json.dumps({"pending": None, "build": "b0"}),
    ],
)
def test_a_program_that_watches_over_nothing_or_stays_as_it_is_may_be_installed(said: str) -> None:
    require_idle({"lb1": said}, {"lb1": "b1"})


@pytest.mark.parametrize("build", ["b0", None])
def test_a_program_that_watches_over_a_change_is_not_replaced(build: str | None) -> None:
    said = {"lb1": "", "lb2": json.dumps({**WATCHING, "build": build})}
    with pytest.raises(Refused, match="lb2: wanted no change under way; got change c1"):
        require_idle(said, dict.fromkeys(said, "b1"))


def test_a_role_without_a_driver_is_refused_by_name(tmp_path: Path) -> None:
    role = tmp_path / "balancer_x"
    (role / "files" / "driver").mkdir(parents=True)
    (role / "files" / "driver" / "part.py").write_text("")
    with pytest.raises(Refused, match="balancer_x"):
        driver_files(role)


def test_a_host_without_a_kind_of_balancer_is_named(tmp_path: Path) -> None:
    hosts = {
        "ansible_play_hosts_all": ["lb1", "lb2"],
        "hostvars": {"lb1": {"balancer_kind": "haproxy"}, "lb2": {}},
    }
    arguments = {"verb": "build_program", "output": str(tmp_path), "roles": str(ROOT)}
    with pytest.raises(Refused, match="balancer_kind of lb2"):
        act(Mock(check_mode=False), arguments, hosts)
