import os
import time
from pathlib import Path

from unit.host.fakes import FIRST, SECOND, THIRD, Host, digest

from evenkeel.host.system.steps import Steps


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_a_snapshot_holds_bytes_state_versions_and_the_digest_before_it(host: Host) -> None:
    import hashlib
    import json

    host.deploy("c1", SECOND)
    host.driver.drain("web", "a")
    host.must("snapshot", "--name", "friday")
    folder = host.root / "snapshots"
    meta = json.loads((folder / "friday" / "snapshot.json").read_bytes())
    assert (folder / "friday" / "files" / "fake.cfg").read_bytes() == SECOND
    assert meta["runtime_state"] == {"web": {"a": {"state": "drain"}}}
    assert meta["versions"]["balancer"] == "1.0" and meta["confirmed"]
    before = (folder / "confirmed-c1" / "snapshot.json").read_bytes()
    assert meta["previous"] == hashlib.sha256(before).hexdigest()


def test_a_snapshot_of_the_same_name_and_release_changes_nothing(host: Host) -> None:
    host.deploy("c1", SECOND)
    assert host.must("snapshot", "--name", "friday")["changed"]
    assert not host.must("snapshot", "--name", "friday")["changed"]
    host.deploy("c2", THIRD)
    assert host.program("snapshot", "--name", "friday")[0] == 10
    assert host.program("snapshot", "--name", "before-x")[0] == 10


def test_a_host_that_was_not_taken_over_has_no_snapshot(host: Host) -> None:
    assert host.program("snapshot", "--name", "friday")[0] == 10


def test_prune_keeps_what_can_be_gone_back_to(host: Host) -> None:
    for number in range(4):
        host.deploy(f"c{number}", SECOND if number % 2 else THIRD + b"web %d\n" % number)
    for folder in ("releases", "snapshots"):
        for path in (host.root / folder).iterdir():
            age(path, 2)
    removed = host.must("prune", "--keep", "2")["removed"]
    assert f"release {digest(FIRST)}" in removed and "snapshot before-c0" in removed
    status = host.status()
    assert [g["change"] for g in status["generations"]] == ["c2", "c3"]
    assert host.must("rollback")["outcome"] == "rolled back"
    assert host.driver.running() == THIRD + b"web 2\n"


def test_prune_spares_what_was_prepared_just_now_and_what_a_person_named(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.must("snapshot", "--name", "friday")
    host.prepare("c2", THIRD)
    age(host.root / "snapshots" / "friday", 400)
    assert host.must("prune")["removed"] == []
    assert host.must("prune", "--max-age-days", "365")["removed"] == ["snapshot friday"]
    assert (host.root / "releases" / digest(THIRD)).is_dir()


def days_later(host: Host) -> None:
    host.clock.moved += 2 * 86400


def test_confirm_prunes_so_that_a_host_never_fills_up(host: Host) -> None:
    host.deploy("first", FIRST)
    host.must("snapshot", "--name", "friday")
    for number in range(30):
        days_later(host)
        host.deploy(f"c{number}", SECOND + b"web n%d\n" % number)
    status = host.status()
    assert [g["change"] for g in status["generations"]] == [f"c{n}" for n in range(20, 30)]
    names = {snapshot["name"] for snapshot in status["snapshots"]}
    assert "friday" in names and len(names) <= 22
    assert len(list((host.root / "releases").iterdir())) <= 12
    for number in range(28, 19, -1):
        assert host.must("rollback")["outcome"] == "rolled back"
        assert host.driver.running() == SECOND + b"web n%d\n" % number
    assert host.must("rollback", "--to", "friday")["outcome"] == "rolled back"


def test_snapshots_of_releases_that_alternate_are_pruned_as_well(host: Host) -> None:
    for number in range(30):
        days_later(host)
        host.deploy(f"c{number}", THIRD if number % 2 else SECOND)
    assert len(host.status()["snapshots"]) <= 24


def test_what_confirm_prunes_is_bounded(host: Host) -> None:
    for number in range(30):
        host.deploy(f"c{number}", SECOND + b"web n%d\n" % number)
    days_later(host)
    host.prepare("last", THIRD)
    assert host.activate("last", THIRD)[0] == 0
    removed = host.must("confirm", "--change", "last")["removed"]
    assert 0 < len(removed) <= 2 * 20 + 1
    assert host.driver.running() == THIRD


def test_a_pruning_that_fails_fails_no_confirmation(host: Host) -> None:
    host.deploy("c0", SECOND, confirm=False)

    class Fails(Steps):
        def run(self, name, action):
            if name.endswith(": remove"):
                raise OSError(5, "Input/output error")
            return action()

    for number in range(12):
        host.must("confirm", "--change", f"c{number}")
        days_later(host)
        host.deploy(f"c{number + 1}", SECOND + b"web n%d\n" % number, confirm=False)
    code, answer = host.program("confirm", "--change", "c12", steps=Fails())
    assert code == 0 and answer["outcome"] == "confirmed"
    assert "Input/output error" in answer["not_removed"]
    assert host.status()["live"]["confirmed"]


def test_the_last_whole_copy_of_a_confirmed_release_never_goes_with_its_snapshot(
    host: Host,
) -> None:
    host.deploy("c1", SECOND)
    (host.root / "releases" / digest(FIRST) / "fake.cfg").write_bytes(b"damaged")
    # Its snapshot before-c1 is replaced by one of SECOND.
    host.deploy("c1", THIRD)
    assert host.must("rollback", "--to", digest(FIRST))["to"] == digest(FIRST)
    assert host.driver.running() == FIRST


def test_prune_removes_no_snapshot_before_its_confirmed_release_is_whole(host: Host) -> None:
    host.deploy("c1", SECOND)
    host.must("snapshot", "--name", "friday")
    for path in (host.root / "snapshots").iterdir():
        age(path, 400)
        if path.name != "friday":
            (path / "files" / "fake.cfg").write_bytes(b"damaged")
    (host.root / "releases" / digest(SECOND) / "fake.cfg").write_bytes(b"damaged")
    assert "snapshot friday" in host.must("prune", "--max-age-days", "365")["removed"]
    assert (host.root / "releases" / digest(SECOND) / "fake.cfg").read_bytes() == SECOND
