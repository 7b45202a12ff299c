import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
IN_PYTHON = sorted(
    path.name
    for path in (ROOT / "scripts").iterdir()
    if path.is_file()
    and "/.venv/bin/python" in path.read_text()
    and "-m evenkeel" in path.read_text()
)
# What each of them imports sooner or later, and anybody may leave in a folder for all.
PLANTED = ("argparse", "gc", "json", "re", "evenkeel")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name in PLANTED:
        (folder / f"{name}.py").write_text("raise SystemExit(99)\n")
    return folder


def test_the_commands_are_found() -> None:
    assert {"approve", "rollback", "watch"} <= set(IN_PYTHON)


@pytest.mark.parametrize("name", IN_PYTHON)
def test_a_command_runs_nothing_that_lies_in_the_folder_it_is_called_from(
    name: str, hostile: Path
) -> None:
    text = (ROOT / "scripts" / name).read_text().replace('"$root/scripts/setup"\n', "")
    script = hostile / "called"
    script.write_text(text.replace('$(dirname "${BASH_SOURCE[0]}")/..', str(ROOT)))
    done = subprocess.run(
        ["bash", str(script), "--help"],
        cwd=hostile,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]


IN_SHELL = sorted(
    path
    for folder in ("scripts", ".ci")
    for path in (ROOT / folder).iterdir()
    if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash\n")
)


@pytest.mark.parametrize("path", IN_SHELL, ids=lambda path: path.name)
def test_a_command_finds_its_checkout_whatever_cd_may_mean_to_its_caller(
    path: Path, tmp_path: Path
) -> None:
    called = tmp_path / "checkout" / path.parent.name
    elsewhere = tmp_path / "elsewhere" / path.parent.name
    called.mkdir(parents=True)
    elsewhere.mkdir(parents=True)
    lines = path.read_text().splitlines()
    moves = next(number for number, line in enumerate(lines) if "BASH_SOURCE" in line)
    told = 'printf "%s" "${root-$PWD}"\n'
    (called / path.name).write_text("\n".join([*lines[: moves + 1], told]))
    done = subprocess.run(
        ["bash", f"{path.parent.name}/{path.name}"],
        cwd=called.parent,
        env={**os.environ, "CDPATH": str(elsewhere.parent)},
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.decode() == str(called.parent)
