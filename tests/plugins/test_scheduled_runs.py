"""What ansible-runner itself does with a call of ours; no host is contacted."""

import json
import shutil
from pathlib import Path

import pytest

from evenkeel.commands import ROOT
from evenkeel.schedule import runner
from evenkeel.schedule.runner import Call, playbooks

IDENT = "nightly.stage-2.1"
TOLD = "{{ signers }} {{ lookup('config', 'HOST_KEY_CHECKING') }}"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.delenv("ANSIBLE_HOST_KEY_CHECKING", raising=False)
    # Tests of the host's program, in the same process, leave the environment that it has.
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    root = tmp_path / "checkout"
    (root / "playbooks").mkdir(parents=True)
    shutil.copy(ROOT / "ansible.cfg", root)
    task = {"ansible.builtin.debug": {"msg": TOLD}}
    play = {"hosts": "balancers", "gather_facts": False, "tasks": [task]}
    (root / "playbooks" / "deploy.yml").write_text(json.dumps([play]))
    fleet = {"hosts": {"lb1": {}}, "vars": {"ansible_connection": "local", "signers": "ours"}}
    (root / "hosts.yml").write_text(json.dumps({"balancers": fleet}))
    return root


def run(checkout: Path, artifacts: Path) -> str:
    said: list[str] = []
    call = Call("deploy", {}, IDENT, artifacts)
    ran = playbooks(checkout, str(checkout / "hosts.yml"), "balancers", said.append)(call)
    assert ran.status == "successful", said
    return "\n".join(said)


def test_a_call_checks_host_keys_and_believes_nothing_that_lies_in_the_folder_of_the_change(
    checkout, tmp_path
):
    kept = tmp_path / "change" / "runner" / "artifacts" / IDENT
    (kept / "fact_cache").mkdir(parents=True)
    tagged = {
        "__ansible_type": "_AnsibleTaggedStr",
        "value": f"{{{{ lookup('pipe', 'touch {tmp_path}/ran; echo theirs') }}}}",
        "tags": [{"__ansible_type": "TrustedAsTemplate"}],
    }
    facts = {"__payload__": json.dumps({"signers": tagged})}
    (kept / "fact_cache" / "s1_lb1").write_text(json.dumps(facts))
    other = tmp_path / "other"
    other.write_text("of somebody else")
    (kept / "stdout").symlink_to(other)
    said = run(checkout, tmp_path / "change" / "runner")
    assert not (tmp_path / "ran").exists()
    assert "ours True" in said
    assert "ours True" in (kept / "stdout").read_text()
    assert other.read_text() == "of somebody else"
    assert {path.name for path in kept.iterdir()} == {*runner.KEPT, "fact_cache"}


def test_a_call_goes_on_where_its_output_cannot_be_kept(checkout, tmp_path):
    kept = tmp_path / "change" / "runner" / "artifacts" / IDENT
    kept.parent.mkdir(parents=True)
    kept.write_text("in the way")
    said = run(checkout, tmp_path / "change" / "runner")
    assert "ours True" in said
    assert f"the output of this run cannot be kept in {kept}" in said
