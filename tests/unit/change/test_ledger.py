import json

import pytest
from unit.change.build import Sample

from evenkeel.change.ledger import verify_chain
from evenkeel.errors import EXIT_REFUSED, Refused
from evenkeel.records import canonical_json

PASSED = {"verdict": "pass", "hosts": {"lb1": {}}}


@pytest.fixture
def change(tmp_path):
    made = Sample(tmp_path).rendered().rehearsed().approved_without_signature()
    made.planned().closed(1, PASSED).closed(2, {"verdict": "pass", "hosts": {"lb2": {}}})
    return made.ended({"outcome": "confirmed"})


def alter(path, **values):
    """Edit a record as somebody who keeps to its form would."""
    path.write_bytes(canonical_json(json.loads(path.read_text()) | values))


def test_an_intact_chain_gives_every_record(change):
    chain = verify_chain(change.folder)
    assert chain.outcome.body["outcome"] == "confirmed"
    assert [record.body["stage"] for record in chain.canary] == [1, 2]
    assert list(chain.approvals) == ["bob"]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("render.json", "playbooks/render.yml"),
        ("staging.json", "playbooks/validate.yml"),
        ("approvals/bob.json", "scripts/approve"),
        ("canary/1.json", "playbooks/deploy.yml"),
        ("outcome.json", "playbooks/deploy.yml"),
    ],
)
def test_a_missing_record_is_refused_with_the_command_that_leaves_it(change, name, command):
    (change.path / name).unlink()
    with pytest.raises(Refused) as caught:
        verify_chain(change.folder)
    assert command in caught.value.next_step
    assert caught.value.exit_code == EXIT_REFUSED
    assert name.split("/")[0] in caught.value.where


@pytest.mark.parametrize(
    "name",
    ["render.json", "staging.json", "canary/1.json", "canary/2.json"],
)
def test_an_altered_record_breaks_the_chain_at_the_next_one(change, name):
    alter(change.path / name, body={"verdict": "pass", "stage": int(name[-6] == "2") + 1})
    with pytest.raises(Refused):
        verify_chain(change.folder)


def test_a_record_with_other_bytes_is_named_as_altered(change):
    path = change.path / "staging.json"
    path.write_text(path.read_text().replace('"pass"', '"pass" '))
    with pytest.raises(Refused, match=r"staging\.json was altered"):
        verify_chain(change.folder)


def test_a_record_of_another_change_is_refused(change):
    other = change.copied_to("other")
    manifest = json.loads((other.path / "manifest.json").read_text())
    other.folder.write_json("manifest.json", manifest | {"change_id": "other"})
    with pytest.raises(Refused, match="does not fit"):
        verify_chain(other.folder, "render")


def test_a_record_of_another_digest_is_refused(change):
    manifest = json.loads((change.path / "manifest.json").read_text())
    change.folder.write_json("manifest.json", manifest | {"author": "mallory"})
    with pytest.raises(Refused, match=r"wanted: digest"):
        verify_chain(change.folder)


def test_a_record_under_another_stages_name_is_refused(change):
    alter(change.path / "canary/2.json", body={"stage": 7})
    with pytest.raises(Refused, match="another stage"):
        verify_chain(change.folder)


def test_looks_no_further_than_it_was_asked(change):
    (change.path / "canary/2.json").write_text("garbage")
    assert len(verify_chain(change.folder, "canary", stage=1).canary) == 1
    with pytest.raises(Refused, match="damaged"):
        verify_chain(change.folder, "canary")


def test_an_approval_of_an_earlier_rehearsal_is_no_part_of_the_chain(change):
    change.rehearsed(bundles=["again"])
    with pytest.raises(Refused, match="is not approved"):
        verify_chain(change.folder, "approval")


def test_a_gap_between_stages_is_refused(change):
    (change.path / "canary/1.json").unlink()
    with pytest.raises(Refused, match=r"1\.json is missing"):
        verify_chain(change.folder, "canary", stage=2)
