import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evenkeel.host.system.bytecode import Kept, modules_of
from evenkeel.program import build


@pytest.fixture
def program(tmp_path: Path) -> Path:
    build(tmp_path / "evenkeel-host")
    return tmp_path / "evenkeel-host"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "evenkeel-host.code"


def kept_by(program: Path, cache: Path, may_write: bool = True):
    with program.open("rb") as sources:
        return modules_of(sources, str(cache), may_write)


def test_the_second_start_reads_what_the_first_one_kept(program: Path, cache: Path) -> None:
    first = kept_by(program, cache)
    assert first and "evenkeel.host.main" in first and first["evenkeel.host"][0] is True
    assert kept_by(program, cache, may_write=False) == first
    assert cache.stat().st_mode & 0o777 == 0o600
    assert cache.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_bytecode_of_other_sources_is_not_used(program: Path, cache: Path) -> None:
    kept_by(program, cache)
    program.write_bytes(program.read_bytes() + b"\0")
    assert kept_by(program, cache, may_write=False) is None


def test_bytecode_of_another_python_is_made_anew(
    program: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_by(program, cache)
    before = cache.read_bytes()
    monkeypatch.setattr(sys, "version", "3.99")
    assert kept_by(program, cache, may_write=False) is None
    assert kept_by(program, cache)
    assert cache.read_bytes() != before


def test_bytecode_of_another_file_is_not_used(program: Path, cache: Path) -> None:
    same = program.with_name("another")
    os.link(program, same)
    kept_by(program, cache)
    assert kept_by(same, cache, may_write=False) is None


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_bytecode_that_another_user_could_write_is_not_used(
    program: Path, cache: Path, mode: int
) -> None:
    kept_by(program, cache)
    cache.chmod(mode)
    assert kept_by(program, cache, may_write=False) is None


def test_a_folder_that_another_user_could_write_is_neither_read_nor_written(
    program: Path, cache: Path
) -> None:
    kept_by(program, cache)
    cache.unlink()
    cache.parent.chmod(0o777)
    kept_by(program, cache)
    assert not cache.exists()


def test_a_symlink_in_place_of_the_bytecode_is_not_followed(program: Path, cache: Path) -> None:
    kept_by(program, cache)
    elsewhere = cache.with_name("elsewhere")
    cache.rename(elsewhere)
    cache.symlink_to(elsewhere)
    assert kept_by(program, cache, may_write=False) is None


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, marshal.dumps(["list"]), marshal.dumps({})])
def test_damaged_bytecode_is_made_anew(program: Path, cache: Path, damage: bytes) -> None:
    whole = kept_by(program, cache)
    cache.write_bytes(damage)
    assert kept_by(program, cache) == whole
    assert kept_by(program, cache, may_write=False) == whole


def test_without_a_place_for_its_bytecode_the_program_does_without(
    program: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("no folder")
    assert kept_by(program, tmp_path / "cache" / "evenkeel-host.code") is None


def test_at_boot_nothing_is_written(program: Path, cache: Path) -> None:
    assert kept_by(program, cache, may_write=False) is None
    assert not cache.parent.exists()


def test_the_program_runs_from_its_bytecode_alone(program: Path, cache: Path) -> None:
    kept_by(program, cache)
    source = Path(sys.modules[Kept.__module__].__file__ or "").read_text()
    alone = (
        f"{source.split('if __name__')[0]}\n"
        f"kept = _read({str(cache)!r})\n"
        "sys.meta_path.insert(0, Kept(kept['modules']))\n"
        "from evenkeel.host.main import main\n"
        "sys.exit(main(['nonsense']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", alone], capture_output=True, timeout=30, cwd=os.sep
    )
    assert (done.returncode, done.stderr) == (2, b"")
    assert done.stdout.startswith(b'{"changed":false')
