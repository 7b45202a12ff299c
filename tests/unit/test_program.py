import ast
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import evenkeel
from evenkeel.program import build, program_bytes

SOURCE = Path(evenkeel.__file__).parent


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


def test_what_is_shipped_keeps_to_python_3_8_and_the_standard_library() -> None:
    roles = Path(__file__).parents[2] / "roles"
    shipped = [*(SOURCE / "host").glob("*.py"), *roles.glob("balancer_*/files/driver.py")]
    allowed = {*sys.stdlib_module_names, "evenkeel"}
    for path in shipped:
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] in allowed, (path, name)
                if name.startswith("evenkeel"):
                    assert name.split(".")[1] in ("host", "judge"), (path, name)
