"""The corpus is as large as it claims, every case can be applied, and a bad file says why."""

import pytest
import yaml
from evenkeel_proof.corpus import cases

from evenkeel.change.bundle import render_fleet
from evenkeel.containers.names import ROOT
from evenkeel.errors import UsageError
from evenkeel.intent import parse_intent

CORPUS = cases.load_all(ROOT / "tests" / "corpus")
ROLE = ROOT / "roles" / "balancer_haproxy"
GOOD = {
    "name": "one",
    "intent": "shop",
    "wrong": "it is",
    "edits": [{"set": "limits/max_connections", "to": 1}],
}


def written(path, **changes):
    case = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(case))
    return path


def test_the_corpus_has_forty_classes_of_wrong_changes_and_a_hundred_harmless_ones():
    assert len({case.kind for case in CORPUS if case.wrong}) >= 40
    assert sum(not case.wrong for case in CORPUS) >= 100


def test_every_intent_that_cases_start_from_is_a_good_one():
    for base in {id(case.base): case.base for case in CORPUS if not case.file}.values():
        parse_intent(base)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_every_case_changes_something(case):
    assert case.intent() != case.base or case.edits_text()


def test_every_edit_of_a_text_finds_its_place():
    printed = {}
    for case in (one for one in CORPUS if one.edits_text()):
        if case.file:
            assert case.text(case.file) != case.file
            continue
        key = case.where.rsplit(":")[0] + repr(case.intent())
        if key not in printed:
            files = render_fleet({"lb1": case.intent()}, role_dir=ROLE).files["lb1"]
            printed[key] = files["haproxy.cfg"].decode()
        assert case.text(printed[key]) != printed[key]


def test_a_case_is_read(tmp_path):
    (case,) = cases.load(written(tmp_path / "case.yml", production={"clients": 1}, stop="canary"))
    assert (case.name, case.wrong, case.stop) == ("one", True, "canary")
    assert case.intent()["limits"] == {"max_connections": 1}


def test_an_intent_may_stand_in_the_case_itself(tmp_path):
    (case,) = cases.load(written(tmp_path / "case.yml", intent={"pools": []}))
    assert case.base == {"pools": []}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"intent": "nobody"},
        {"intent": None},
        {"wrong": None},
        {"harmless": "both"},
        {"wrong": ""},
        {"stop": "later"},
        {"edits": []},
        {"edits": None},
        {"edits": [{"move": "x"}]},
        {"unknown": 1},
        {"production": {"moon": "full"}},
        {"production": {"clients": 0}},
        {"production": []},
    ],
    ids=repr,
)
def test_what_is_no_case_is_refused_with_where_it_stands(tmp_path, changes):
    with pytest.raises(UsageError) as caught:
        cases.load(written(tmp_path / "case.yml", **changes))
    assert "case.yml" in str(caught.value)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"just text", b""])
def test_a_file_that_is_no_yaml_is_refused(tmp_path, content):
    path = tmp_path / "case.yml"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        cases.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no case"):
        cases.load(tmp_path / "nothing.yml")


def test_a_case_declares_what_its_change_declares(tmp_path):
    waiver = {"rule": "pool-cut", "subject": "pool api", "reason": "it moved"}
    shift = {"pool": "api", "server": "api1", "points": 20, "reason": "it is new"}
    path = written(tmp_path / "case.yml", waivers=[waiver], intended_shifts=[shift])
    (case,) = cases.load(path)
    assert case.declared.waivers[0].rule == "pool-cut"
    assert case.declared.intended_shifts[0].points == 20
    with pytest.raises(UsageError, match=r"waivers\[0\]\.reason"):
        cases.load(written(tmp_path / "case.yml", waivers=[{**waiver, "reason": ""}]))


def test_what_a_configuration_by_hand_declares_is_a_file_of_its_own(tmp_path):
    path = tmp_path / "declared.yml"
    path.write_text("waivers: [{rule: no-check, subject: pool a, reason: it has none}]")
    assert cases.load_declared(path).waivers[0].subject == "pool a"
    path.write_text("wiavers: []")
    with pytest.raises(UsageError, match="waivers"):
        cases.load_declared(path)


def test_a_case_may_start_from_a_configuration_by_hand(tmp_path):
    (tmp_path / "live.cfg").write_text("global\n    maxconn 5\n")
    edit = {"replace": "maxconn 5", "with": "maxconn 6"}
    by_hand = {"intent": None, "file": "live.cfg", "edits": [edit]}
    (case,) = cases.load(written(tmp_path / "case.yml", **by_hand))
    assert case.text(case.file) == "global\n    maxconn 6\n"
    for more in ({"intent": "shop"}, {"production": {"clients": 1}}, {"edits": GOOD["edits"]}):
        with pytest.raises(UsageError, match="edits of its text alone"):
            cases.load(written(tmp_path / "case.yml", **{**by_hand, **more}))
    with pytest.raises(UsageError, match="file: the name of a file"):
        cases.load(written(tmp_path / "case.yml", **{**by_hand, "file": "none.cfg"}))
