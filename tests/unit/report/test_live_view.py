"""The live view is drawn from the folder alone, within the terminal, plain where there is none."""

import io
from datetime import UTC, datetime

import pytest
from unit.change.build import Sample, observed

from evenkeel.canary import hold as holds
from evenkeel.canary.progress import write_progress
from evenkeel.errors import Refused
from evenkeel.report.live_view import Picture, View, host_line, look, news
from evenkeel.terminal import console

NOW = datetime(2024, 6, 20, 13, 0, 10, tzinfo=UTC)
AT = "2024-06-20T13:00:08.000Z"
PASS = {"verdict": "pass", "reasons": []}


@pytest.fixture
def change(tmp_path):
    made = Sample(tmp_path).rendered().rehearsed().approved_without_signature()
    return made.planned((1, 2))


def saw(change, host="lb1", role="canary", stage=1, at=AT, lease=60, **more):
    write_progress(
        change.folder.stage_results(stage),
        host,
        role,
        observed(**{"verdict": "inconclusive", **more}),
        renewed=at,
        at=at,
        seconds=12.0,
        lease_seconds=lease,
    )


def picture(change, width=100, height=50, *, drawing=False):
    on = console(io.StringIO(), drawing=drawing, width=width)
    on.height = height
    on.print(Picture(look(change.folder), NOW))
    return on.file.getvalue()


def drawn(change, width=100, height=50):
    return [line.rstrip() for line in picture(change, width, height).splitlines()]


def test_each_host_comes_with_its_part_requests_verdict_and_what_is_left_of_its_lease(change):
    saw(change)
    saw(change, "lb2", "control", lease=0, verdict=None)
    lines = drawn(change)
    assert lines[0].endswith("stage 1 of 2: lb1, 12 of at most 60 s")
    assert lines[1] == "lb1  canary   401 requests  0 errors  inconclusive  lease 58 s"
    assert lines[-1] == "lb2  control  401 requests  0 errors"


def test_each_server_is_drawn_with_its_interval_on_its_band(change):
    saw(change, counts={"web1": 100, "web2": 300})
    lines = {line.split()[1]: line for line in drawn(change) if line.startswith("  app")}
    assert "25.0 %" in lines["web1"] and "of 50.0 %" in lines["web1"]
    for line in lines.values():
        track = line.split(" %  ")[1].split("  of")[0]
        assert (len(track), set(track)) == (32, set(".-=|"))
        assert track.count("|") == 1
    assert lines["web1"].index("|") < lines["web2"].index("|")


def test_what_is_counted_is_said_where_it_is_not_requests_and_probes_are_told_apart(change):
    said = observed(verdict="inconclusive", probe={"sent": 40, "failed": 0})
    said["pools"]["app"]["unit"] = "clients"
    at = {"renewed": AT, "at": AT, "seconds": 3.0, "lease_seconds": 60}
    write_progress(change.folder.stage_results(1), "lb1", "canary", said, **at)
    lines = drawn(change)
    assert "401 requests (40 probes)" in lines[1]
    assert "  app  shares of clients" in lines


def test_a_server_outside_of_its_band_comes_first(change):
    saw(change, counts={f"web{n}": 200 for n in range(1, 5)} | {"web9": 400})
    rows = [line.split()[1] for line in drawn(change) if line.startswith("  app")]
    assert rows == ["web9", "web1", "web2", "web3", "web4"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("server", ["web1", "a-server-with-a-very-long-name-indeed-0123456789"])
def test_no_line_is_wider_than_the_terminal(change, width, server):
    saw(change, counts={server: 200, "other": 200})
    assert max(map(len, drawn(change, width))) <= width


def test_no_picture_is_higher_than_the_terminal_and_what_is_left_out_is_said(change):
    for host in ("lb1", "lb2", "lb3"):
        saw(change, host)
    lines = drawn(change, height=6)
    assert len(lines) == 5
    assert lines[-1] == "and 6 more lines"


def test_without_colour_every_character_is_printed_text(change):
    saw(change)
    assert all(line.isprintable() for line in drawn(change))
    assert "\x1b[33minconclusive" in picture(change, drawing=True)


@pytest.mark.parametrize("evil", ["\x1b[2J", "\r", "\n", "\u202e"])
def test_no_name_can_move_the_cursor(change, evil):
    saw(change, counts={f"web{evil}1": 200, "web2": 200})
    assert all(line.isprintable() for line in drawn(change))
    assert "web\N{REPLACEMENT CHARACTER}" in picture(change, drawing=True) or evil == "\n"


@pytest.mark.parametrize("name", ["[red]web1[/red]", "web1[/]", ":smile:", "[link=x]web1"])
def test_a_name_that_looks_like_markup_is_drawn_as_it_is(change, name):
    saw(change, counts={name: 200, "web2": 200})
    assert any(f"app  {name}" in line for line in drawn(change))
    assert name in picture(change, drawing=True)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_name_that_does_not_fit_is_continued_below_and_never_cut(change, width):
    name = "web" + "0123456789" * 5
    saw(change, counts={name: 200, "other": 200})
    lines = drawn(change, width)
    assert name in "".join(line[7:].split("  ")[0] for line in lines[2:])
    assert [line[-9:] for line in lines if "%" in line] == ["of 50.0 %"] * 2
    assert max(map(len, lines)) <= width


def test_many_servers_are_counted_not_listed(change):
    saw(change, counts={f"web{n:02}": 100 for n in range(30)})
    assert "  app  and 22 more servers" in drawn(change)


def test_a_host_that_says_nothing_any_more_is_told_so_and_its_lease_runs_down(change):
    saw(change, at="2024-06-20T12:59:30.000Z")
    line = drawn(change)[1]
    assert "lease 20 s" in line
    assert line.endswith("no answer for 40 s")


def test_a_lease_counts_from_its_renewal_and_not_from_the_answer(change):
    saw(change)
    path = change.folder.stage_results(1) / "live" / "lb1.json"
    path.write_text(
        path.read_text().replace(f'"renewed":"{AT}"', '"renewed":"2024-06-20T13:00:05Z"')
    )
    assert "lease 55 s" in drawn(change)[1]


def test_a_host_that_went_back_has_no_lease(change):
    saw(change, verdict="fail", reverted=True)
    assert drawn(change)[1].endswith("fail  reverted")


def test_a_host_that_confirmed_before_has_no_lease_to_show(change):
    saw(change, lease=0)
    assert "lease" not in drawn(change)[1]


def test_a_change_that_was_not_deployed_says_so(tmp_path):
    view = look(Sample(tmp_path).rendered().folder)
    assert list(news(None, view, NOW)) == ["change 2024-06-20-two-more: not started"]
    assert view.exit_code is None


def test_a_change_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refused, match="no change"):
        look(Sample(tmp_path).folder)


def test_the_stage_that_is_drawn_is_the_one_under_way(change):
    saw(change)
    change.closed(1, {**PASS, "hosts": {"lb1": PASS}})
    assert "stage 1 of 2: lb1: pass" in drawn(change)[0]
    saw(change, "lb2", stage=2)
    saw(change, "lb1", "carrier", stage=2)
    lines = drawn(change)
    assert "stage 2 of 2: lb2, lb3, 12 of at most 60 s" in lines[0]
    assert [line[:3] for line in lines if line.startswith("lb")] == ["lb2", "lb1"]


def test_a_held_stage_says_until_when_and_ends_the_watch(change):
    unclear = {"verdict": "inconclusive", "reasons": []}
    change.closed(1, {**unclear, "hosts": {"lb1": unclear}})
    renewed = {"lb1": {"status": "ok", "result": {"remaining_seconds": 50.0}}}
    holds.hold(change.folder, 1, renewed, ["lb1"], NOW)
    saw(change)
    view = look(change.folder)
    assert view.exit_code == 13
    assert not [line for line in drawn(change) if "lease" in line]
    assert "held until 2024-06-20T13:01:00Z" in drawn(change)[0]


def test_the_outcome_ends_the_watch_with_its_exit_code(change):
    saw(change)
    change.closed(1, {"verdict": "fail", "hosts": {"lb1": {"verdict": "fail"}}})
    change.ended({"outcome": "rolled_back", "exit_code": 11, "hosts": {"lb1": "reverted"}})
    view = look(change.folder)
    lines = drawn(change)
    assert view.exit_code == 11
    assert lines[0].endswith("rolled back (exit code 11)")
    assert lines[1:] == ["lb1  reverted"]
    assert list(news(None, view, NOW)) == lines


def test_a_log_gets_each_look_at_a_host_once(change):
    saw(change)
    first = look(change.folder)
    assert len(list(news(None, first, NOW))) == 2
    assert list(news(first, look(change.folder), NOW)) == []
    saw(change, at="2024-06-20T13:00:09.000Z", counts={"web1": 300, "web2": 300})
    assert list(news(first, look(change.folder), NOW)) == [
        host_line(look(change.folder).hosts[0], NOW).plain
    ]


def test_a_look_in_the_middle_of_a_new_attempt_shows_no_host_of_the_old_one(change):
    saw(change)
    before = look(change.folder)
    assert isinstance(before, View) and before.hosts
    (change.folder.stage_results(1) / "live" / "lb1.json").unlink()
    assert look(change.folder).hosts == []


@pytest.mark.parametrize(
    "text", ["[]", "7", "{}", '{"role": []}', '{"role": "canary", "host": "lb1", "pools": 3}']
)
def test_a_look_of_another_shape_is_refused_without_a_traceback(change, text):
    saw(change)
    (change.folder.stage_results(1) / "live" / "lb1.json").write_text(text)
    with pytest.raises(Refused, match="cannot be read"):
        look(change.folder)


def test_no_text_of_the_folder_makes_a_line_of_its_own(change):
    view = View(change.change_id, outcome={"outcome": "split\nnext: run this", "exit_code": 14})
    assert len(list(news(None, view, NOW))) == 1
