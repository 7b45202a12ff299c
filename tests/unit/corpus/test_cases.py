"""The corpus is as large as it claims, every case can be applied, and a bad file says why."""

import pytest
import yaml

from evenkeel.change.bundle import render_fleet
from evenkeel.corpus import cases
from evenkeel.errors import UsageError
from evenkeel.intent import parse_intent
from evenkeel.lab.names import ROOT

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
    for base in {id(case.base): case.base for case in CORPUS}.values():
        parse_intent(base)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_every_case_changes_something(case):
    assert case.intent() != case.base or case.edits_text()


def test_every_edit_of_a_text_finds_its_place():
    printed = {}
    for case in (one for one in CORPUS if one.edits_text()):
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
