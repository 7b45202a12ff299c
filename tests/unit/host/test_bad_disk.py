"""Bad disks and bad hands: each has the outcome that docs/reference/on-host-program.md states.

Here every 23rd operation meets each broken disk; `python -m faults` breaks it at every one.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faults import disks
from faults.cases import CASES, Case, ready
from faults.disk import Disk
from faults.kills import STRANDED
from unit.host.fakes import FIRST, SECOND, THIRD, Host, digest


@pytest.mark.parametrize("broken", disks.BROKEN)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_disk_that_breaks_at_any_operation_makes_nothing_worse(
    tmp_path: Path, case: Case, broken: str
) -> None:
    found = list(disks.inject(tmp_path, [case], [broken], one_of=23))
    assert not [injection for injection in found if injection.outcome == STRANDED]


def test_a_disk_that_fills_up_at_the_switch_has_room_for_going_back(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "activate the next change")
    host = ready(tmp_path / "host", case)
    disk = Disk(host.folder, host.clock.wall)
    switched = []

    def full(kind: str, path: str) -> None:
        if switched and kind in ("create", "write", "mkdir", "symlink", "fsync"):
            raise OSError(28, "No space left on device", path)
        if (kind, path) == ("rename", str(host.root / "live")):
            switched.append(path)

    disk.before = full
    host.around = disk.watched
    code, answer = host.program(*case.words)
    assert switched and code == 12 and "No space left" in json.dumps(answer)
    assert host.live() == host.driver.running() == SECOND
    disk.before = lambda kind, path: None
    host.clock.moved += 100
    assert host.must("expire")["outcome"] == "reverted"
    assert host.live() == host.driver.running() == SECOND


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))


def test_the_newest_snapshot_with_a_flipped_bit_is_refused_and_the_next_newest_offered(
    host: Host,
) -> None:
    host.deploy("c1", SECOND)
    for name in ("b", "a", "c"):
        host.must("snapshot", "--name", name)
    flip_a_bit(host.root / "snapshots" / "c" / "files" / "fake.cfg")
    flip_a_bit(host.root / "releases" / digest(FIRST) / "fake.cfg")
    code, answer = host.program("rollback", "--to", "c")
    assert code == 10 and "damaged" in answer["error"]["what"]
    assert answer["error"]["next_step"] == "rollback --to a"
    assert host.live() == host.driver.running() == SECOND
    host.must("rollback", "--to", "a")


def test_a_live_release_with_a_file_missing_is_mended_and_served_on(host: Host) -> None:
    host.deploy("c1", SECOND)
    (host.root / "releases" / digest(SECOND) / "fake.cfg").unlink()
    assert host.status()["drift"] and host.driver.running() == SECOND
    assert host.must("recover")["changed"]
    assert host.live() == host.driver.running() == SECOND


def test_a_prepared_release_with_a_file_missing_is_refused_and_prepared_again(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.prepare("c2", THIRD)
    (host.root / "releases" / digest(THIRD) / "fake.cfg").unlink()
    code, answer = host.activate("c2", THIRD)
    assert code == 10 and "prepare it again" in answer["error"]["next_step"]
    host.prepare("c2", THIRD)
    assert host.activate("c2", THIRD)[0] == 0


def test_a_live_file_edited_by_hand_is_shown_left_alone_and_kept(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.driver.native.write_bytes(THIRD)
    assert host.status()["drift_reason"] == "the files of the live release were edited by hand"
    host.must("recover")
    assert host.live() == THIRD and host.driver.running() == SECOND
    host.prepare("c2", SECOND + b"web z\n")
    words = host.activate_words("c2", SECOND + b"web z\n")
    assert host.program(*words, "--base", digest(SECOND))[0] == 10
    host.must("rollback")
    assert (host.root / "releases" / digest(THIRD) / "fake.cfg").read_bytes() == THIRD


def replaced(host: Host, data: bytes) -> None:
    """What an upgrade of the balancer's package does to its configuration."""
    host.driver.native.unlink()
    host.driver.native.write_bytes(data)


def test_a_symlink_replaced_by_a_file_with_the_same_bytes_is_led_back(host: Host) -> None:
    host.deploy("c1", SECOND)
    replaced(host, SECOND)
    assert "does not lead" in host.status()["drift_reason"]
    worker = host.driver.loaded()
    host.must("recover")
    assert host.driver.native.is_symlink() and host.driver.loaded() == worker
    assert not host.status()["drift"]


def test_a_symlink_that_is_gone_is_put_back(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.driver.native.unlink()
    host.must("recover")
    assert host.live() == host.driver.running() == SECOND and not host.status()["drift"]


def test_a_file_put_in_place_by_hand_stays_though_the_release_behind_it_lacks_a_file(
    host: Host,
) -> None:
    host.deploy("c1", SECOND)
    replaced(host, THIRD)
    host.clock.moved += 1
    host.driver.spawn()
    (host.root / "releases" / digest(SECOND) / "fake.cfg").unlink()
    assert not host.must("recover")["changed"]
    assert host.live() == host.driver.running() == THIRD
    host.must("rollback", "--to", digest(SECOND))
    assert host.live() == host.driver.running() == SECOND


def test_a_package_upgrade_that_replaced_the_file_is_shown_and_can_be_rolled_back(
    host: Host,
) -> None:
    host.deploy("c1", SECOND)
    replaced(host, THIRD)
    assert not host.must("recover")["changed"]
    assert host.live() == THIRD and host.status()["drift"]
    host.must("rollback", "--to", digest(SECOND))
    assert host.live() == host.driver.running() == SECOND and host.driver.native.is_symlink()


def test_a_package_upgrade_while_a_change_is_pending_goes_back_when_the_lease_ends(
    host: Host,
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    replaced(host, THIRD)
    assert host.program("confirm", "--change", "c1")[0] == 10
    host.clock.moved += 100
    host.must("expire")
    assert host.live() == host.driver.running() == FIRST and host.driver.native.is_symlink()


def test_unknown_files_in_the_store_stand_in_nobodys_way_and_are_left_alone(host: Host) -> None:
    host.deploy("c1", SECOND)
    strangers = [
        host.root / folder / "NOTES" for folder in ("", "releases", "snapshots", "observations")
    ]
    for path in strangers:
        path.write_bytes(b"mine")
    (host.root / "observations" / "folder.json").mkdir()
    host.clock.moved += 400 * 86400
    host.must("prune", "--max-age-days", "1")
    host.deploy("c2", THIRD)
    assert [s["name"] for s in host.status()["snapshots"] if s.get("damaged")] == []
    assert not host.must("recover")["changed"]
    assert all(path.read_bytes() == b"mine" for path in strangers)


@pytest.mark.parametrize(
    "verb", [("rollback",), ("recover",), ("expire",), ("status",), ("prune",)]
)
def test_a_journal_of_a_newer_program_is_not_touched(host: Host, verb: tuple[str, ...]) -> None:
    host.deploy("c1", SECOND)
    path = host.root / "journal"
    newer = {**json.loads(path.read_bytes()), "schema_version": 2}
    path.write_text(json.dumps(newer))
    code, answer = host.program(*verb)
    assert (code, answer["error"]["got"]) == (12, "schema version 2")
    assert answer["error"]["next_step"] == "install the program that wrote it again"
    assert json.loads(path.read_bytes()) == newer
    assert host.live() == host.driver.running() == SECOND
