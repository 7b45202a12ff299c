"""--check of validate and approve writes nothing, and refuses what the verb itself would refuse."""

import pytest
from unit.change.build import Sample, make_key, public_key
from unit.verbs.tasks import FakeTask

from evenkeel.change import approval
from evenkeel.errors import Refused
from evenkeel.verbs.controller import act


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("alice", "bob")}


@pytest.fixture
def signers(tmp_path, keys):
    path = tmp_path / "allowed_signers"
    path.write_text("".join(f"{name} {public_key(key)}\n" for name, key in keys.items()))
    return path


@pytest.fixture
def change(tmp_path):
    return Sample(tmp_path / "changes").rendered().rehearsed()


def check(change, verb, **args):
    return ran(change, verb, {}, **args)["changed"]


def ran(change, verb, facts, **args):
    before = {path: path.stat().st_mtime_ns for path in change.path.rglob("*")}
    args |= {"verb": verb, "change": change.change_id}
    try:
        return act(FakeTask(change.path, check=True), args, {"ansible_facts": facts})
    finally:
        assert {path: path.stat().st_mtime_ns for path in change.path.rglob("*")} == before


def approve(change, keys, signers, person="bob", key=None):
    path = key or keys[person]
    return check(change, "approve", person=person, key=str(path), allowed_signers=str(signers))


def test_an_approval_that_would_be_signed_is_a_change_and_one_that_is_there_is_none(
    change, keys, signers
):
    assert approve(change, keys, signers)
    approval.approve(change.folder, "bob", keys["bob"], signers)
    assert not approve(change, keys, signers)


def test_one_persons_approval_is_not_taken_for_anothers(change, keys, signers, tmp_path):
    approval.approve(change.folder, "bob", keys["bob"], signers)
    carol = make_key(tmp_path / "carol")
    with signers.open("a") as stream:
        stream.write(f"carol {public_key(carol)}\n")
    assert approve(change, keys, signers, "carol", carol)


@pytest.mark.parametrize(
    ("person", "key", "words"),
    [
        ("alice", "alice", "author of a change cannot approve it"),
        ("dave", "bob", "nobody who is listed"),
        ("../bob", "bob", "no usable name"),
        ("bob", "none", "no such SSH key"),
    ],
)
def test_an_approval_that_would_be_refused_is_refused(change, keys, signers, person, key, words):
    with pytest.raises(Refused, match=words):
        approve(change, keys, signers, person, keys.get(key, signers.with_name(key)))


def test_a_rehearsal_that_would_be_run_is_a_change_and_one_that_passed_is_none(tmp_path, change):
    assert not check(change, "validate")
    assert check(Sample(tmp_path / "next").rendered(), "validate")


@pytest.mark.parametrize("altered", ["render.json", "bundle/lb1/haproxy.cfg"])
def test_a_rehearsal_of_what_was_altered_is_refused(change, altered):
    path = change.path / altered
    path.write_bytes(path.read_bytes().replace(b"10.0.0.1", b"10.0.0.9").replace(b":[", b": ["))
    with pytest.raises(Refused, match=r"altered|not the one"):
        check(change, "validate")


def test_a_verb_of_the_whole_road_follows_on_what_the_one_before_it_would_leave(tmp_path):
    change = Sample(tmp_path / "next").rendered()
    facts = ran(change, "validate", {})["ansible_facts"]
    assert ran(change, "approve", facts) == {"changed": True}
    plan = ran(change, "plan", facts)
    assert plan["changed"] and plan["stages"] == [] and not plan["prepare"]
    with pytest.raises(Refused, match=r"staging\.json"):
        check(change, "approve", person="bob", key="-", allowed_signers="-")


def test_another_change_of_the_same_run_follows_on_nothing(change, keys, signers):
    facts = {"evenkeel_would_change": ["another"]}
    with pytest.raises(Refused, match="nobody who is listed"):
        ran(change, "approve", facts, person="dave", key="-", allowed_signers=str(signers))
