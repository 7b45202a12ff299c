import pytest
from unit.change.build import Sample
from unit.verbs.tasks import FakeTask

from evenkeel.errors import Inconclusive, Refused
from evenkeel.verbs import validate
from evenkeel.verbs.controller import act

CHECKS = [
    {"verdict": "pass", "title": "the balancer's own check", "reasons": []},
    {"verdict": "fail", "title": "share per server", "reasons": ["pool web: web1 got 83 %"]},
]


@pytest.fixture
def change(tmp_path):
    return Sample(tmp_path).rendered()


def rehearsing(monkeypatch, verdict, bundles=()):
    """Let the rehearsal end with `verdict`; gives the list of its runs."""
    runs = []

    def rehearse(path, **_):
        runs.append(path)
        return {"verdict": verdict, "bundles": list(bundles)}

    monkeypatch.setattr(validate, "rehearse", rehearse)
    return runs


def run(change, root):
    return act(FakeTask(change.path), {"verb": "validate", "role_dir": str(root)}, {})


def test_a_digest_that_passed_is_not_rehearsed_again(change, tmp_path, monkeypatch):
    runs = rehearsing(monkeypatch, "pass")
    assert run(change, tmp_path)["changed"]
    assert not run(change, tmp_path)["changed"]
    assert len(runs) == 1


def test_a_digest_that_failed_is_rehearsed_again(change, tmp_path, monkeypatch):
    runs = rehearsing(monkeypatch, "fail")
    for _ in range(2):
        with pytest.raises(Refused):
            run(change, tmp_path)
    assert len(runs) == 2


@pytest.mark.parametrize("verdict", ["inconclusive", "no_data"])
def test_a_rehearsal_that_cannot_tell_is_neither_pass_nor_fail(
    change, tmp_path, monkeypatch, verdict
):
    rehearsing(monkeypatch, verdict)
    with pytest.raises(Inconclusive):
        run(change, tmp_path)
    assert not validate.passed_already(change.folder)


def test_a_refusal_names_what_did_not_pass_and_nothing_that_did(change, tmp_path, monkeypatch):
    rehearsing(monkeypatch, "fail", [{"checks": CHECKS}])
    with pytest.raises(Refused, match="pool web: web1 got 83 %") as refusal:
        run(change, tmp_path)
    assert "own check" not in str(refusal.value)


def test_a_bundle_that_was_altered_is_not_rehearsed(change, tmp_path, monkeypatch):
    runs = rehearsing(monkeypatch, "pass")
    (change.folder.bundle / "lb1" / "haproxy.cfg").write_bytes(b"other")
    with pytest.raises(Refused, match="not the one that was rendered"):
        run(change, tmp_path)
    assert runs == []


def test_what_is_true_of_some_bundles_only_is_said_so():
    bundles = [{"checks": CHECKS}, {"checks": CHECKS[:1]}]
    assert validate.findings(bundles) == [
        "pass         the balancer's own check",
        "fail         share per server: pool web: web1 got 83 % (1 of 2 bundles)",
    ]
