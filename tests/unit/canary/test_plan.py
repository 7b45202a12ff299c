import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.change.build import Sample

from evenkeel.canary.plan import keep, load, plan
from evenkeel.errors import Problems, Refused

FLEET = [f"lb{number}" for number in range(1, 11)]


def sizes(hosts, stages):
    return [len(stage.hosts) for stage in plan(hosts, stages).stages]


@pytest.mark.parametrize(
    ("fleet", "stages", "wanted"),
    [
        (10, [{"hosts": 1}, {"hosts": "50%"}, {"hosts": "100%"}], [1, 4, 5]),
        (3, [{"hosts": 1}, {"hosts": "50%"}, {"hosts": "100%"}], [1, 1, 1]),
        (1, [{"hosts": 1}, {"hosts": "50%"}, {"hosts": "100%"}], [1]),
        (10, [{"hosts": "1%"}], [1, 9]),
        (10, [{"hosts": "25%"}, {"hosts": "25%"}], [2, 1, 7]),
        (10, [{"hosts": 2}, {"hosts": 3}], [2, 3, 5]),
        (3, [{"hosts": 5}], [3]),
        (3, None, [1, 2]),
        (3, [], [1, 2]),
    ],
)
def test_counts_take_so_many_and_percentages_are_cumulative(fleet, stages, wanted):
    assert sizes(FLEET[:fleet], stages) == wanted


entries = st.one_of(st.integers(1, 20), st.integers(1, 100).map(lambda percent: f"{percent}%")).map(
    lambda hosts: {"hosts": hosts}
)


@given(st.integers(1, 40), st.lists(entries, max_size=6))
def test_every_host_is_in_exactly_one_stage_in_order(fleet, stages):
    hosts = [f"h{number}" for number in range(fleet)]
    percents = [entry for entry in stages if isinstance(entry["hosts"], str)]
    percents.sort(key=lambda entry: int(entry["hosts"][:-1]))
    stages = [e for e in stages if not isinstance(e["hosts"], str)] + percents
    made = plan(hosts, stages)
    assert list(made.hosts) == hosts
    assert all(stage.hosts for stage in made.stages)
    assert [stage.number for stage in made.stages] == list(range(1, len(made.stages) + 1))


def test_carriers_are_the_hosts_of_all_stages_before():
    made = plan(FLEET[:3], [{"hosts": 1}, {"hosts": 1}, {"hosts": 1}])
    assert [stage.carriers for stage in made.stages] == [(), ("lb1",), ("lb1", "lb2")]


def test_what_is_left_out_is_that_of_the_stage_before():
    stages = [{"hosts": 1, "bake_seconds": 7, "minimum_requests": 9}, {"hosts": 1}]
    for stage in plan(FLEET[:3], stages).stages:
        assert (stage.bake_seconds, stage.minimum_requests) == (7, 9)


def test_all_problems_are_told_at_once():
    stages = [
        {"hosts": 0, "bake_seconds": "long"},
        {"hosts": "0%"},
        {"hosts": "60%", "minimum_request": 5},
        {"hosts": "50%"},
        {"bake_seconds": 5},
        "all",
        {"hosts": True},
    ]
    with pytest.raises(Problems) as caught:
        plan(["lb1", "lb1"], stages)
    assert [problem.path for problem in caught.value.problems] == [
        "hosts",
        "canary_stages[0].bake_seconds",
        "canary_stages[0].hosts",
        "canary_stages[1].hosts",
        "canary_stages[2].minimum_request",
        "canary_stages[3].hosts",
        "canary_stages[4].hosts",
        "canary_stages[5]",
        "canary_stages[6].hosts",
    ]


def test_no_host_is_a_refusal_that_points_at_the_limit():
    with pytest.raises(Problems, match="--limit"):
        plan([], None)


def test_a_stage_that_does_not_exist_is_refused():
    made = plan(FLEET, None)
    for number in (0, 3, -1):
        with pytest.raises(Refused, match="no such stage"):
            made.stage(number)


def test_a_kept_plan_is_read_back_the_same(tmp_path):
    folder = Sample(tmp_path).rendered().folder
    made = plan(FLEET, [{"hosts": 1}, {"hosts": "40%"}])
    assert keep(folder, made) == made == load(folder)


def test_a_deploy_that_has_begun_is_held_to_its_plan(tmp_path):
    change = Sample(tmp_path).rendered().rehearsed().approved_without_signature()
    before = plan(FLEET[:3], None)
    keep(change.folder, before)
    keep(change.folder, plan(FLEET[:2], None))
    keep(change.folder, before)
    change.closed(1, {"verdict": "pass"})
    assert keep(change.folder, before) == before
    with pytest.raises(Refused, match="middle of a deploy"):
        keep(change.folder, plan(FLEET[:3], [{"hosts": 3}]))


@pytest.mark.parametrize("text", ["{}", '{"stages":[{}]}', '{"stages":3}', "[]"])
def test_a_damaged_plan_is_refused_without_a_traceback(tmp_path, text):
    folder = Sample(tmp_path).rendered().folder
    folder.plan_json.parent.mkdir()
    folder.plan_json.write_text(text)
    with pytest.raises(Refused, match="damaged"):
        load(folder)
