import hashlib
from pathlib import Path

import pytest
from unit.host.fakes import FIRST, INVALID, SECOND, Host, archive, digest

from evenkeel.host.state.archive import pack, release_digest
from evenkeel.host.system import durable
from evenkeel.host.system.sha256 import canonical
from evenkeel.host.system.steps import Steps


def test_leaves_what_is_live_alone(host: Host) -> None:
    answer = host.prepare("c1", SECOND)
    assert answer["changed"] and answer["check"]["ok"]
    assert host.live() == host.driver.running() == FIRST


def test_keeps_the_release_under_its_digest_for_root_alone(host: Host) -> None:
    host.prepare("c1", SECOND)
    folder = host.root / "releases" / digest(SECOND)
    assert (folder / "fake.cfg").read_bytes() == SECOND
    assert (folder / "fake.cfg").stat().st_mode & 0o7777 == 0o640
    assert folder.stat().st_mode & 0o077 == 0


def test_the_same_release_again_changes_nothing(host: Host) -> None:
    host.prepare("c1", SECOND)
    assert not host.prepare("c1", SECOND)["changed"]


def test_replaces_a_damaged_release(host: Host) -> None:
    host.prepare("c1", SECOND)
    (host.root / "releases" / digest(SECOND) / "fake.cfg").write_bytes(b"damaged")
    assert host.prepare("c1", SECOND)["changed"]
    assert (host.root / "releases" / digest(SECOND) / "fake.cfg").read_bytes() == SECOND


def test_does_not_replace_a_live_release_that_was_edited(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.driver.native.write_bytes(SECOND + b"web z\n")
    words = ("prepare", "--change", "c1", "--release", digest(SECOND))
    code, answer = host.program(*words, stdin=archive("c1", SECOND))
    assert code == 10 and "by hand" in answer["error"]["what"]
    assert host.live() == SECOND + b"web z\n"


def test_a_release_that_the_balancer_refuses_leaves_nothing_behind(host: Host) -> None:
    words = ("prepare", "--change", "c1", "--release", digest(INVALID))
    code, answer = host.program(*words, stdin=archive("c1", INVALID))
    assert code == 10 and answer["error"]["got"] == "line 1: invalid"
    assert list((host.root / "releases").iterdir()) == []


def test_check_only_checks_and_keeps_nothing(host: Host) -> None:
    words = ("prepare", "--change", "c1", "--release", digest(SECOND), "--check-only")
    answer = host.must(*words, stdin=archive("c1", SECOND))
    assert answer["changed"] and list((host.root / "releases").iterdir()) == []


@pytest.mark.parametrize(("change", "release"), [("other", digest(SECOND)), ("c1", digest(FIRST))])
def test_refuses_a_release_of_another_name(host: Host, change: str, release: str) -> None:
    words = ("prepare", "--change", change, "--release", release)
    code, _ = host.program(*words, stdin=archive("c1", SECOND))
    assert code == 10
    assert list((host.root / "releases").iterdir()) == []


def test_a_bad_archive_is_an_answer_and_no_traceback(host: Host, tmp_path: Path) -> None:
    words = ("prepare", "--change", "c1", "--release", digest(SECOND))
    code, answer = host.program(*words, stdin=b"\x00" * 100)
    assert code == 10 and answer["ok"] is False and answer["error"]["next_step"]


def bundle(files: dict[str, bytes]) -> tuple[str, bytes]:
    """A release of any files, and the archive that brings it."""
    release = release_digest(files)
    facts = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "mode": "0640"}
        for name, data in files.items()
    }
    head = {"change_id": "c1", "digest": "0" * 64, "release": release, "files": facts}
    return release, pack(canonical(head), files)


@pytest.mark.parametrize("extra", ["x.lua", "more/fake.cfg"])
def test_refuses_a_file_that_the_balancer_does_not_read(host: Host, extra: str) -> None:
    release, data = bundle({"fake.cfg": SECOND, extra: b"x"})
    words = ("prepare", "--change", "c1", "--release", release, "--check-only")
    code, answer = host.program(*words, stdin=data)
    assert code == 10 and answer["error"]["got"] == extra
    assert list((host.root / "releases").iterdir()) == []


def test_refuses_a_name_that_is_a_folder_as_well(host: Host) -> None:
    release, data = bundle({"fake.cfg": SECOND, "a": b"x", "a/b/c": b"x"})
    words = ("prepare", "--change", "c1", "--release", release)
    code, answer = host.program(*words, stdin=data)
    assert code == 10 and answer["error"]["got"] == "a and a/b/c"


def test_a_failure_in_the_middle_of_writing_leaves_nothing_behind(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, data: bytes, mode: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write_new", full)
    words = ("prepare", "--change", "c1", "--release", digest(SECOND))
    code, answer = host.program(*words, stdin=archive("c1", SECOND))
    assert (code, answer["outcome"]) == (10, "untouched") and "No space" in answer["error"]["got"]
    assert list((host.root / "releases").iterdir()) == []


def test_a_failure_while_publishing_leaves_what_was_there(host: Host) -> None:
    host.prepare("c1", SECOND)
    kept = host.root / "releases" / digest(SECOND)
    (kept / "fake.cfg").write_bytes(b"damaged")

    class Fails(Steps):
        def run(self, name, action):
            if name.endswith(": rename"):
                raise OSError(5, "Input/output error")
            return action()

    words = ("prepare", "--change", "c1", "--release", digest(SECOND))
    code, _ = host.program(*words, stdin=archive("c1", SECOND), steps=Fails())
    assert code == 10
    assert [path.name for path in (host.root / "releases").iterdir()] == [kept.name]


def test_what_a_driver_forbids_is_not_activated(host: Host) -> None:
    host.prepare("c1", SECOND)
    host.driver.forbidden = lambda folder: ["line 3: lua-load"]
    code, answer = host.activate("c1", SECOND)
    assert (code, answer["outcome"]) == (10, "untouched")
    assert answer["error"]["got"] == "line 3: lua-load" and host.live() == FIRST
    assert host.status()["generations"] == []
