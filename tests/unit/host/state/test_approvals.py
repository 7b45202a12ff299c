"""Where root on a host asks for approvals, the host itself believes signatures and nobody else."""

import io
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from unit.change.build import Sample
from unit.host.approved import (
    APPROVER,
    AUTHOR,
    SECOND_APPROVER,
    Change,
    People,
    write_policy,
)
from unit.host.fakes import FIRST, SECOND, THIRD, Host, archive, digest

from evenkeel.change.approval import approve
from evenkeel.change.release_archive import release_archive
from evenkeel.host.state import approval_policy, approvals
from evenkeel.host.state.archive import CHANGE_MANIFEST, approval_name, unpack
from evenkeel.host.state.signers import LONGEST_VALID_HOURS
from evenkeel.host.system import process
from evenkeel.host.system.steps import Steps

Sent = Mapping[str, bytes]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys that are made once: no test changes them."""
    folder = tmp_path_factory.mktemp("keys")
    People(folder)
    return folder / "keys"


@pytest.fixture
def people(keys: Path, tmp_path: Path) -> People:
    folder = tmp_path / "people"
    shutil.copytree(keys, folder / "keys")
    return People(folder)


@pytest.fixture
def strict(host: Host, people: People) -> Host:
    """A host whose policy asks for one approval."""
    write_policy(host.policy, people)
    return host


@pytest.fixture
def change(people: People) -> Change:
    return Change(people, digest(SECOND))


def prepare(
    host: Host, sent: Sent, data: bytes = SECOND, change: str = "c1", *more: str
) -> tuple[int, dict[str, Any]]:
    words = ("prepare", "--change", change, "--release", digest(data), *more)
    return host.program(*words, stdin=archive(change, data, sent))


def refusals(host: Host, sent: Sent, data: bytes = SECOND, change: str = "c1") -> list[str]:
    """Let the host refuse at prepare, and at activate as if prepare had let it pass."""
    said = []
    aside = host.policy / "policy.json"
    code, answer = prepare(host, sent, data, change)
    assert (code, answer["outcome"]) == (10, "untouched"), answer
    assert not list((host.root / "releases").iterdir())
    said.append(answer["error"])
    away = aside.with_name("away")
    aside.rename(away)
    host.must("prepare", "--change", change, "--release", digest(data), stdin=archive(change, data))
    away.rename(aside)
    approvals.keep(host.machine("fake", Steps()), change, sent)
    code, answer = host.activate(change, data)
    assert (code, answer["outcome"]) == (10, "untouched"), answer
    assert host.live() == host.driver.running() == FIRST
    assert host.status()["pending"] is None and not host.units.armed
    said.append(answer["error"])
    assert all(error["wanted"] and error["next_step"] for error in said)
    return [f"{error['what']}: {error['got']}" for error in said]


def test_without_a_policy_nobody_is_asked_and_status_says_so(host: Host) -> None:
    host.deploy("c1", SECOND)
    assert host.live() == SECOND
    assert host.status()["approvals_required"] == 0


def test_an_approved_release_is_activated_and_status_says_what_is_asked(
    strict: Host, change: Change
) -> None:
    code, answer = prepare(strict, change.approved())
    assert code == 0 and answer["changed"], answer
    assert strict.activate("c1", SECOND)[0] == 0
    assert strict.live() == strict.driver.running() == SECOND
    assert strict.status()["approvals_required"] == 1


def test_what_was_approved_is_kept_beside_the_release_for_root_alone(
    strict: Host, change: Change
) -> None:
    prepare(strict, change.approved())
    kept = strict.root / "approvals" / "c1.tar"
    assert kept.stat().st_mode & 0o7777 == 0o600
    assert kept.parent.stat().st_mode & 0o077 == 0
    files = {path.name for path in (strict.root / "releases" / digest(SECOND)).iterdir()}
    assert files == {"fake.cfg", "manifest.json"}


def test_without_a_policy_what_was_approved_is_not_kept(host: Host, change: Change) -> None:
    assert prepare(host, change.approved())[0] == 0
    assert not (host.root / "approvals").exists()


def test_the_same_again_changes_nothing_and_a_new_approval_takes_the_place_of_the_old(
    strict: Host, change: Change
) -> None:
    first = change.approved(hours=1)
    assert prepare(strict, first)[1]["changed"]
    assert not prepare(strict, first)[1]["changed"]
    assert prepare(strict, change.approved(hours=60))[1]["changed"]
    strict.clock.moved += 2 * 3600
    assert strict.activate("c1", SECOND)[0] == 0


def test_check_only_asks_as_well_and_keeps_nothing(strict: Host, change: Change) -> None:
    assert prepare(strict, {}, SECOND, "c1", "--check-only")[0] == 10
    assert prepare(strict, change.approved(), SECOND, "c1", "--check-only")[0] == 0
    assert not (strict.root / "approvals").exists()


def test_a_release_that_nobody_approved_is_refused(strict: Host) -> None:
    assert all("0 of 1 approvals" in said for said in refusals(strict, {}))


def test_a_manifest_alone_approves_nothing(strict: Host, change: Change) -> None:
    sent = {CHANGE_MANIFEST: change.manifest()}
    assert all("0 of 1 approvals" in said for said in refusals(strict, sent))


def other_bytes(change: Change) -> Sent:
    """The record says more than what was signed."""
    sent = dict(change.approved())
    name = approval_name(APPROVER)
    sent[name] = sent[name].replace(b'"ended":""', b'"ended":"x"')
    return sent


def other_key(change: Change) -> Sent:
    return {**change.approved(), **change.signed(change.record(), APPROVER, "mallory")}


def other_listed_key(change: Change) -> Sent:
    return {**change.approved(), **change.signed(change.record(), APPROVER, SECOND_APPROVER)}


def other_namespace(change: Change) -> Sent:
    return {**change.approved(), **change.signed(change.record(), namespace="file")}


def no_signature(change: Change) -> Sent:
    name = f"{approval_name(APPROVER)}.sig"
    return {key: data for key, data in change.approved().items() if key != name}


def no_sense(change: Change) -> Sent:
    return {**change.approved(), f"{approval_name(APPROVER)}.sig": b"\0" * 100}


def a_certificate(change: Change) -> Sent:
    key = change.people.key(APPROVER)
    authority = change.people.key("authority")
    words = ["ssh-keygen", "-q", "-s", authority, "-I", "bob", "-n", APPROVER, f"{key}.pub"]
    subprocess.run(words, check=True, timeout=20)
    sent = dict(change.approved())
    plain = key.with_name(f"{key.name}.pub")
    plain.write_bytes(key.with_name(f"{key.name}-cert.pub").read_bytes())
    return {**sent, **change.signed(change.record())}


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (other_bytes, "is not signed by that person"),
        (other_key, "is not signed by that person"),
        (other_listed_key, "is not signed by that person"),
        (other_namespace, "is not signed by that person"),
        (no_signature, "has no signature that can be read"),
        (no_sense, "has no signature that can be read"),
        (a_certificate, "certificate"),
    ],
)
def test_a_forged_signature_is_refused(strict: Host, change: Change, forged, why: str) -> None:
    assert all(why in said for said in refusals(strict, forged(change)))


@pytest.mark.parametrize(
    ("hours", "why"),
    [(-1, "expired at"), (LONGEST_VALID_HOURS + 1, "is valid for more than 720 hours")],
)
def test_an_approval_that_does_not_hold_now_is_refused(
    strict: Host, change: Change, hours: float, why: str
) -> None:
    assert all(why in said for said in refusals(strict, change.approved(hours=hours)))


def test_an_approval_that_expires_between_prepare_and_activate_is_refused(
    strict: Host, change: Change
) -> None:
    assert prepare(strict, change.approved(hours=1))[0] == 0
    strict.clock.moved += 3601
    code, answer = strict.activate("c1", SECOND)
    assert code == 10 and "expired at" in answer["error"]["got"]
    assert strict.live() == FIRST


@pytest.mark.parametrize(
    "more",
    [
        {"expires": "2999-01-01"},
        {"expires": None},
        {"expires": "2026-13-01T00:00:00Z"},
        {"record": "staging"},
        {"schema_version": 2},
        {"change_id": "c2"},
        {"digest": "0" * 64},
        {"approver": SECOND_APPROVER},
        {"author": SECOND_APPROVER},
    ],
    ids=str,
)
def test_a_record_that_says_something_else_is_refused_though_it_is_signed(
    strict: Host, change: Change, more: dict[str, Any]
) -> None:
    said = refusals(strict, change.approved(**more))
    assert all("0 of 1 approvals" in each for each in said)


def of_another_host(change: Change) -> Sent:
    return Change(change.people, digest(SECOND), host="lb2").approved()


def of_another_change(change: Change) -> Sent:
    return Change(change.people, digest(SECOND), change_id="c2").approved()


def of_another_release(change: Change) -> Sent:
    return Change(change.people, digest(THIRD)).approved()


def of_another_balancer(change: Change) -> Sent:
    return Change(change.people, digest(SECOND), balancer="other").approved()


def of_another_digest(change: Change) -> Sent:
    """A manifest that has the release, and a true approval of another manifest."""
    other = Change(change.people, digest(THIRD))
    return {**other.approved(), CHANGE_MANIFEST: change.manifest()}


@pytest.mark.parametrize(
    ("approved", "why"),
    [
        (of_another_host, "release none for this host"),
        (of_another_change, "change c2"),
        (of_another_release, f"release {digest(THIRD)}"),
        (of_another_balancer, "balancer other"),
        (of_another_digest, "its digest is"),
    ],
)
def test_what_was_approved_for_something_else_is_refused(
    strict: Host, change: Change, approved, why: str
) -> None:
    assert all(why in said for said in refusals(strict, approved(change)))


@pytest.mark.parametrize(
    "manifest", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"hosts":[],"author":1}']
)
def test_a_manifest_that_is_none_is_refused(strict: Host, change: Change, manifest: bytes) -> None:
    sent = {**change.approved(), CHANGE_MANIFEST: manifest}
    assert all("manifest that cannot be read" in said for said in refusals(strict, sent))


def test_the_author_cannot_approve(strict: Host, change: Change) -> None:
    for person in (AUTHOR, AUTHOR.upper()):
        strict.policy.joinpath("allowed_signers").write_text(
            change.people.signers.read_text()
            + change.people.signers.read_text().replace(AUTHOR, AUTHOR.upper())
        )
        code, answer = prepare(strict, change.approved(person))
        assert code == 10 and "is by the author" in answer["error"]["got"]


def test_a_key_of_the_author_approves_under_no_other_name(strict: Host, people: People) -> None:
    people.allow((AUTHOR, AUTHOR), ("eve@example.com", AUTHOR))
    write_policy(strict.policy, people)
    change = Change(people, digest(SECOND))
    record = change.record("eve@example.com")
    sent = {**change.approved(), **change.signed(record, "eve@example.com", AUTHOR)}
    del sent[approval_name(APPROVER)]
    assert all("a key of the author" in said for said in refusals(strict, sent))


@pytest.mark.parametrize("author", ["nobody@example.com", "ann", ""])
def test_an_author_whom_the_host_does_not_know_is_refused(
    strict: Host, people: People, author: str
) -> None:
    change = Change(people, digest(SECOND), author=author)
    assert all(
        "a person whom this host does not know" in s for s in refusals(strict, change.approved())
    )


def test_two_approvals_are_two_people_with_two_keys(strict: Host, people: People) -> None:
    people.allow(
        (AUTHOR, AUTHOR),
        (APPROVER, APPROVER),
        (APPROVER.upper(), SECOND_APPROVER),
        ("twin@example.com", APPROVER),
        (SECOND_APPROVER, SECOND_APPROVER),
    )
    write_policy(strict.policy, people, required=2)
    change = Change(people, digest(SECOND))
    one = change.approved()
    twice = {**one, **change.signed(change.record(APPROVER.upper()), APPROVER.upper())}
    twice |= change.signed(change.record(APPROVER.upper()), APPROVER.upper(), SECOND_APPROVER)
    twin = {**one, **change.signed(change.record("twin@example.com"), "twin@example.com", APPROVER)}
    for sent in (one, twice, twin):
        code, answer = prepare(strict, sent)
        assert code == 10 and "1 of 2 approvals" in answer["error"]["what"], answer
    assert prepare(strict, change.approved(APPROVER, SECOND_APPROVER))[0] == 0
    assert strict.activate("c1", SECOND)[0] == 0


def test_one_void_approval_does_not_spoil_a_valid_one(strict: Host, change: Change) -> None:
    sent = {**change.approved(SECOND_APPROVER), **change.signed(change.record(hours=-1))}
    assert prepare(strict, sent)[0] == 0


def test_the_approved_base_counts_and_not_the_callers(strict: Host, people: People) -> None:
    other = Change(people, digest(SECOND), base=digest(THIRD))
    assert prepare(strict, other.approved())[0] == 0
    for more in ((), ("--base", digest(FIRST))):
        code, answer = strict.activate("c1", SECOND, *more)
        assert code == 10 and "reviewed against" in answer["error"]["what"]
    assert strict.live() == FIRST
    right = Change(people, digest(SECOND), base=digest(FIRST))
    assert prepare(strict, right.approved())[0] == 0
    assert strict.activate("c1", SECOND)[0] == 0


def test_confirm_renew_and_every_way_back_need_no_approval(
    strict: Host, people: People, change: Change
) -> None:
    third = Change(people, digest(THIRD), change_id="c2")
    for data, one in ((SECOND, change), (THIRD, third)):
        assert prepare(strict, one.approved(), data, one.change_id)[0] == 0
        assert strict.activate(one.change_id, data)[0] == 0
        (strict.policy / "policy.json").write_text("damaged")
        strict.must("renew", "--change", one.change_id, "--lease-seconds", "60")
        strict.must("confirm", "--change", one.change_id)
        write_policy(strict.policy, people)
    (strict.policy / "policy.json").write_text("damaged")
    strict.must("rollback")
    assert strict.live() == SECOND
    strict.must("rollback", "--to", digest(FIRST))
    assert strict.live() == FIRST
    strict.must("recover")


def test_an_unconfirmed_change_reverts_though_the_policy_is_damaged(
    strict: Host, change: Change
) -> None:
    prepare(strict, change.approved())
    assert strict.activate("c1", SECOND)[0] == 0
    (strict.policy / "policy.json").write_text("damaged")
    strict.clock.moved += 61
    strict.must("expire")
    assert strict.live() == strict.driver.running() == FIRST


def test_activating_what_is_live_already_needs_no_new_approval(
    strict: Host, change: Change
) -> None:
    prepare(strict, change.approved(hours=1))
    assert strict.activate("c1", SECOND, lease=7200)[0] == 0
    strict.clock.moved += 3601
    code, pending = strict.activate("c1", SECOND)
    assert code == 0 and not pending["changed"]
    strict.must("confirm", "--change", "c1")
    code, confirmed = strict.activate("c1", SECOND)
    assert code == 0 and not confirmed["changed"]


def test_a_release_that_was_confirmed_once_and_taken_back_needs_an_approval_that_holds(
    strict: Host, change: Change
) -> None:
    prepare(strict, change.approved(hours=1))
    strict.activate("c1", SECOND)
    strict.must("confirm", "--change", "c1")
    strict.must("rollback")
    strict.clock.moved += 3601
    assert strict.activate("c1", SECOND)[0] == 10
    assert strict.live() == FIRST
    assert prepare(strict, change.approved(hours=72))[0] == 0
    assert strict.activate("c1", SECOND)[0] == 0


def test_what_was_kept_and_damaged_is_refused(strict: Host, change: Change) -> None:
    prepare(strict, change.approved())
    kept = strict.root / "approvals" / "c1.tar"
    kept.write_bytes(kept.read_bytes()[:700])
    code, answer = strict.activate("c1", SECOND)
    assert code == 10 and "are damaged on this host" in answer["error"]["what"]


def link(path: Path) -> None:
    path.rename(path.with_name("there"))
    path.symlink_to("there")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("{}"),
        lambda path: path.write_text("x"),
        lambda path: path.write_bytes(b"[" * 60_000),
        lambda path: path.write_bytes(b" " * 70_000),
        lambda path: path.write_text('{"approvals_required": 0, "host": "lb1"}'),
        lambda path: path.write_text('{"approvals_required": true, "host": "lb1"}'),
        lambda path: path.write_text('{"approvals_required": "1", "host": "lb1"}'),
        lambda path: path.write_text('{"approvals_required": 1, "host": ""}'),
        lambda path: path.write_text('{"approvals_required": 1, "host": "lb1", "more": 1}'),
        lambda path: path.chmod(0o664),
        lambda path: path.chmod(0o646),
        lambda path: path.parent.chmod(0o775),
        lambda path: path.parent.parent.chmod(0o777),
        lambda path: os.chown(path, 1, 1),
        lambda path: os.chown(path.parent, 1, 1),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        link,
        lambda path: link(path.parent),
        lambda path: (shutil.rmtree(path.parent), path.parent.write_text("")),
        lambda path: path.with_name("allowed_signers").unlink(),
        lambda path: path.with_name("allowed_signers").chmod(0o666),
        lambda path: path.with_name("allowed_signers").write_text("ann no-key\n"),
        lambda path: path.with_name("allowed_signers").write_bytes(b"\xff\n"),
        lambda path: link(path.with_name("allowed_signers")),
    ],
)
def test_a_policy_that_cannot_be_trusted_refuses_and_never_counts_as_off(
    strict: Host, change: Change, spoil
) -> None:
    sent = change.approved()
    assert prepare(strict, sent)[0] == 0
    spoil(strict.policy / "policy.json")
    for code, answer in (prepare(strict, sent), strict.activate("c1", SECOND)):
        assert (code, answer["outcome"]) == (10, "untouched"), answer
        assert answer["error"]["where"].startswith(str(strict.policy.parent))
    assert strict.live() == FIRST


def test_status_names_a_policy_that_cannot_be_trusted(strict: Host) -> None:
    (strict.policy / "policy.json").write_text("x")
    status = strict.status()
    assert status["approvals_required"] is None and "cannot be read" in status["policy_fault"]


@pytest.mark.parametrize(
    "end", [(127, "ssh-keygen is not installed"), (124, "no end after 20 s"), (255, "")]
)
def test_an_ssh_keygen_that_does_not_say_yes_is_a_no(
    strict: Host, change: Change, monkeypatch: pytest.MonkeyPatch, end: tuple[int, str]
) -> None:
    monkeypatch.setattr(process, "run", lambda *words, **more: end)
    code, answer = prepare(strict, change.approved())
    assert code == 10 and (end[1] or "exit code 255") in answer["error"]["got"]


def test_the_hosts_own_signers_count_and_not_those_of_the_caller(
    strict: Host, people: People, change: Change
) -> None:
    people.allow((AUTHOR, AUTHOR), (SECOND_APPROVER, SECOND_APPROVER))
    write_policy(strict.policy, people)
    assert prepare(strict, change.approved())[0] == 10
    assert prepare(strict, change.approved(SECOND_APPROVER))[0] == 0


def test_approvals_are_pruned_with_what_they_belong_to(
    strict: Host, people: People, change: Change
) -> None:
    prepare(strict, change.approved())
    strict.activate("c1", SECOND)
    strict.must("confirm", "--change", "c1")
    other = Change(people, digest(THIRD), change_id="never-activated")
    assert prepare(strict, other.approved(), THIRD, "never-activated")[0] == 0
    assert "approvals of never-activated" not in strict.must("prune")["removed"]
    strict.clock.moved += 2 * 3600
    removed = strict.must("prune")["removed"]
    assert {"approvals of never-activated", f"release {digest(THIRD)}"} <= set(removed)
    assert [path.name for path in (strict.root / "approvals").iterdir()] == ["c1.tar"]


def test_the_controllers_own_approval_is_believed_on_the_host(
    host: Host, people: People, tmp_path: Path
) -> None:
    sample = Sample(tmp_path / "changes", author=AUTHOR).rendered().rehearsed()
    approve(sample.folder, APPROVER, people.key(APPROVER), people.signers)
    write_policy(host.policy, people, host="lb2")
    machine = host.machine("haproxy", Steps())
    asked = approval_policy.read(str(host.policy))
    received = unpack(io.BytesIO(release_archive(sample.path, "lb2")))
    change = approvals.require(machine, asked, sample.change_id, received.digest, received.approved)
    entry = json.loads(sample.folder.manifest_json.read_bytes())["hosts"]["lb2"]
    assert change == (sample.change_id, sample.folder.digest(), AUTHOR, entry["base"])
