import os
from pathlib import Path

import pytest
from unit.host.fakes import SECOND, Host

from evenkeel.host.errors import Refused
from evenkeel.host.system import durable
from evenkeel.host.system.steps import Steps


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every fsync and rename, in order, by the path that it is about."""
    seen: list[tuple[str, str]] = []
    rename = os.rename

    def fsync(handle: int) -> None:
        seen.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))

    def renamed(old: str, new: str) -> None:
        seen.append(("rename", str(new)))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", renamed)
    return seen


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    path = tmp_path / "file"
    durable.write_file(Steps(), "x", str(path), b"content", 0o640)
    assert [what for what, _ in calls] == ["fsync", "rename", "fsync"]
    assert calls[1][1] == str(path) and calls[2][1] == str(tmp_path)
    assert path.read_bytes() == b"content" and path.stat().st_mode & 0o777 == 0o640


def test_a_release_is_on_the_disk_before_it_has_its_name(
    host: Host, calls: list[tuple[str, str]]
) -> None:
    host.prepare("c1", SECOND)
    at = next(index for index, call in enumerate(calls) if call[0] == "rename")
    synced = [Path(path).name for what, path in calls[:at] if what == "fsync"]
    assert {"fake.cfg", "manifest.json"} <= set(synced)
    assert calls[at + 1] == ("fsync", str(host.root / "releases"))


def test_the_journal_is_on_the_disk_before_the_flip(
    host: Host, calls: list[tuple[str, str]]
) -> None:
    host.prepare("c1", SECOND)
    calls.clear()
    assert host.activate("c1", SECOND)[0] == 0
    renames = [Path(path).name for what, path in calls if what == "rename"]
    assert renames.index("journal") < renames.index("live")
    for at, (what, path) in enumerate(calls):
        # The way back that a full disk needs may be lost with the power: a boot makes room.
        if what == "rename" and not path.endswith(("process.json", "/back")):
            assert calls[at + 1] == ("fsync", str(Path(path).parent))


def test_a_symlink_is_replaced_and_never_absent(tmp_path: Path) -> None:
    link = tmp_path / "live"
    link.symlink_to("one")

    class Watching(Steps):
        def run(self, name, action):
            assert os.readlink(link) == "one"
            result = action()
            assert os.readlink(link) == ("two" if name == "live: rename" else "one")
            return result

    durable.point(Watching(), "live", str(link), "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live"]


def test_a_write_that_fails_leaves_the_old_bytes_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    class Failing(Steps):
        def run(self, name, action):
            if "rename" in name:
                raise OSError(5, "Input/output error")
            return action()

    with pytest.raises(OSError, match="Input/output"):
        durable.write_file(Failing(), "x", str(path), b"new")
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 101)
    with pytest.raises(Refused, match="too large"):
        durable.read_file(str(path), 100)


def test_a_new_folder_and_those_above_it_are_durable(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    path = tmp_path / "a" / "b"
    durable.make_folder(Steps(), "x", str(path), 0o750)
    durable.make_folder(Steps(), "x", str(path), 0o750)
    assert path.stat().st_mode & 0o777 == 0o750
    assert calls == [("fsync", str(tmp_path)), ("fsync", str(tmp_path / "a"))]


def test_what_a_killed_run_has_renamed_is_made_durable_before_anything_is_decided(
    host: Host, calls: list[tuple[str, str]]
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    renew = ("renew", "--change", "c1", "--lease-seconds", "60")
    host.killed(*renew, at=2, moment="after")
    calls.clear()
    host.must(*renew)
    wanted = [host.root / "releases", host.root, host.root.parent, host.driver.native.parent]
    names = [("fsync", str(path)) for path in wanted]
    assert set(names) <= set(calls[: calls.index(("rename", str(host.root / "journal")))])
    calls.clear()
    host.must(*renew)
    assert not set(names) & set(calls) - {("fsync", str(host.root))}
