import itertools
import json
import re
from html.parser import HTMLParser

import pytest
from unit.change.build import CONFIG, Sample, observed
from unit.report.samples import (
    FOUR,
    bundle,
    caught_on_the_canary,
    confirmed,
    stopped_in_staging,
)

from evenkeel.canary.plan import load
from evenkeel.canary.stage import judge
from evenkeel.canary.watch import CANARY, Watch, follow
from evenkeel.change.folder import ChangeFolder
from evenkeel.commands.approve import summary
from evenkeel.errors import Refused
from evenkeel.records import canonical_json
from evenkeel.remote import Answer
from evenkeel.report import page, render_report, write_report
from evenkeel.terminal import plain

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Reader(HTMLParser):
    """What a browser would make of the page: its text, its elements, and whether they close."""

    def __init__(self, html):
        super().__init__()
        self.words, self.tags, self.open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(change) -> Reader:
    reader = Reader(render_report(change.folder))
    assert reader.open == []
    return reader


def test_the_shares_that_a_watch_kept_are_drawn_over_time(tmp_path):
    change = Sample(tmp_path, hosts=("lb1",)).rendered(CONFIG, FOUR)
    change.rehearsed().approved_without_signature("bob").planned(sizes=(1,))
    seconds = itertools.count(0, 4)
    watch = Watch(change.folder.path, change.change_id, 1, "lb1", CANARY, ("lb1",), 10, 1, {})
    seen = Answer(0, observed(verdict="inconclusive"))
    follow(watch, lambda *_: seen, lambda _: None, lambda: next(seconds))
    change.closed(1, judge(change.folder, load(change.folder), 1))
    lines = [tag for tag, _ in read(change).tags if tag == "polyline"]
    assert len(lines) == len(observed()["pools"]["app"]["servers"])


def test_a_confirmed_change_tells_its_whole_journey(tmp_path):
    text = read(confirmed(tmp_path)).text
    for words in (
        "Two more servers",
        "confirmed",
        "alice",
        "by bob",
        "lb2, lb3",
        "scripts/rollback",
    ):
        assert words in text
    assert "0.0 % → 25.0 %" in text
    assert "0.0 % → 25.1 %" in text
    assert "±30 %" in text


def test_a_change_caught_on_the_canary_says_why_and_where_it_went_back(tmp_path):
    text = read(caught_on_the_canary(tmp_path)).text
    assert "lb1: server web2 of pool app has 100.0 % of requests" in text
    assert "went back by itself" in text
    assert re.search(r"lb1 reverted.*lb2 untouched.*lb3 untouched", text)
    assert re.search(r"Stage 2 not reached", text)
    assert "outside" in text


def test_a_change_stopped_in_staging_names_the_broken_check(tmp_path):
    values = page(stopped_in_staging(tmp_path).folder)
    assert values["badge"]["word"] == "fail"
    (group,) = values["checks"]
    assert [row["title"] for row in group["broken"]] == [
        "Shares of pool app are within the guardrails"
    ]
    assert values["reasons"] == group["broken"][0]["reasons"]


def test_bundles_that_differ_in_nothing_that_was_found_are_shown_once(tmp_path):
    good = {"verdict": "pass", "title": "Every request is answered", "reasons": []}
    bad = good | {"verdict": "fail", "reasons": ["one failed"]}
    bundles = [
        {"hosts": ["lb3"], "checks": [good]},
        {"hosts": ["lb1"], "checks": [good]},
        {"hosts": ["lb2"], "checks": [bad]},
    ]
    values = page(Sample(tmp_path).rendered().rehearsed("fail", bundles=bundles).folder)
    assert [(group["hosts"], len(group["broken"])) for group in values["checks"]] == [
        ("lb1, lb3", 0),
        ("lb2", 1),
    ]


def test_the_page_needs_nothing_from_anywhere(tmp_path):
    for make in (confirmed, caught_on_the_canary, stopped_in_staging):
        html = render_report(make(tmp_path).folder)
        reader = Reader(html)
        assert not {tag for tag, _ in reader.tags} & {"script", "img", "link", "iframe", "object"}
        assert not [attrs for _, attrs in reader.tags if {"src", "href"} & attrs.keys()]
        assert "url(" not in html
        assert "@import" not in html
        policy = next(attrs for _, attrs in reader.tags if "http-equiv" in attrs)
        assert policy["content"].startswith("default-src 'none'")


def test_the_page_is_for_light_dark_narrow_and_paper(tmp_path):
    html = render_report(confirmed(tmp_path).folder)
    for words in ("prefers-color-scheme: dark", "max-width: 46rem", "@media print"):
        assert words in html
    assert 'name="viewport"' in html


def test_what_people_wrote_cannot_become_markup(tmp_path):
    change = Sample(tmp_path, title="<script>alert(1)</script>", author="<b>al</b>")
    change.rendered(CONFIG + b"# <img src=x onerror=alert(1)>\n")
    reader = read(change)
    assert not {"script", "img"} & {tag for tag, _ in reader.tags}
    assert "<script>alert(1)</script>" in reader.text


def test_no_secret_of_the_configuration_is_shown(tmp_path):
    secret = b"    stats auth admin:hunter2secret\n    password topsecret9\n"
    change = Sample(tmp_path).rendered(CONFIG + secret)
    (change.path / "diff.txt").write_bytes(b"# lb1\n+" + secret.replace(b"\n", b"\n+"))
    html = render_report(change.folder)
    assert "redacted" in html
    assert "hunter2secret" not in html
    assert "topsecret9" not in html


def test_every_station_on_the_way_has_a_page_with_the_next_command(tmp_path):
    change = Sample(tmp_path)
    commands = []
    for step in (
        change.rendered,
        change.rehearsed,
        change.approved_without_signature,
        change.planned,
    ):
        step()
        commands.append(page(change.folder)["next"])
        read(change)
    assert [re.search(r"validate|scripts/approve|deploy", text)[0] for text in commands] == [
        "validate",
        "scripts/approve",
        "deploy",
        "deploy",
    ]


def test_an_approval_of_an_earlier_rehearsal_is_shown_as_void(tmp_path):
    change = Sample(tmp_path).rendered().rehearsed().approved_without_signature()
    change.rehearsed(bundles=[{"hosts": ["lb1"], "checks": []}])
    assert "void: of an earlier rehearsal" in read(change).text


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "change.json",
        "forecast.json",
        "render.json",
        "staging.json",
        "approvals/bob.json",
        "canary/plan.json",
        "canary/1.json",
        "canary/1/lb1.json",
        "outcome.json",
    ],
)
def test_a_damaged_file_is_named_on_the_page_instead_of_breaking_it(tmp_path, name):
    change = confirmed(tmp_path)
    (change.path / name).write_text("garbage")
    reader = read(change)
    assert re.search(r"damaged|missing|altered|does not fit|not one of ours", reader.text)


def test_a_record_of_another_shape_is_named_and_keeps_no_verb_from_its_end(tmp_path):
    change = Sample(tmp_path).rendered().rehearsed(bundles=["<b>", 7])
    with pytest.raises(Refused, match="cannot be read"):
        render_report(change.folder)
    text = write_report(change.folder).read_text()
    assert "cannot be read" in text
    assert "edited file" in text


def test_an_altered_record_is_named(tmp_path):
    change = confirmed(tmp_path)
    path = change.path / "canary" / "1.json"
    path.write_bytes(canonical_json(json.loads(path.read_text()) | {"ended": "2024"}))
    assert "does not fit the one before it" in read(change).text


def test_many_servers_are_cut_to_those_that_move_most(tmp_path):
    shares = {f"web{n:03}": (0.005, 0.005) for n in range(200)} | {"web117": (0.005, 0.4)}
    change = Sample(tmp_path).rendered(forecast_of=shares)
    reader = read(change)
    assert "web117" in reader.text
    assert "160 more servers" in reader.text
    assert len(render_report(change.folder)) < 200_000


def test_the_page_is_the_same_when_written_again(tmp_path):
    change = confirmed(tmp_path)
    path = write_report(change.folder)
    first = path.read_bytes()
    assert write_report(change.folder).read_bytes() == first
    assert path.name == "report.html"


def test_a_change_that_is_not_there_has_no_report(tmp_path):
    with pytest.raises(Refused, match="There is no change"):
        render_report(ChangeFolder(tmp_path / "nothing"))


MOVED = {"clients": 120, "moved": 31, "percent": 25.8}


def rehearsed_with(tmp_path, effect, **more):
    change = Sample(tmp_path).rendered(CONFIG, FOUR)
    made = bundle(change.hosts, FOUR)
    made["effect"]["app"] |= effect
    return change.rehearsed(bundles=[made | more])


def test_clients_who_change_servers_are_shown_to_the_reader_and_the_approver(tmp_path):
    change = rehearsed_with(tmp_path, {"moved_clients": MOVED})
    said = "31 of 120 clients (25.8 %) are answered by another server"
    assert said in read(change).text
    assert said in plain(*summary(page(change.folder)))


def test_a_pool_without_clients_of_its_own_says_nothing_of_them(tmp_path):
    change = rehearsed_with(tmp_path, {})
    assert "are answered by another server" not in read(change).text


def test_even_shares_with_other_clients_are_no_pool_that_is_as_before(tmp_path):
    even = {f"web{n}": (0.25, 0.249) for n in range(1, 5)}
    for moved, still in ((MOVED, 0), (MOVED | {"moved": 0, "percent": 0.0}, 1)):
        change = Sample(tmp_path, f"c{still}").rendered(CONFIG, FOUR)
        made = bundle(change.hosts, even)
        made["effect"]["app"]["moved_clients"] = moved
        change.rehearsed(bundles=[made])
        forecast = {"pools": {"app": {"change": "same", "servers": {}}}}
        change.folder.write_json(
            "forecast.json", {"groups": [{"hosts": change.hosts, "forecast": forecast}]}
        )
        (effect,) = page(change.folder)["effects"]
        assert len(effect["still"]) == still


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ({"sha256": None, "clients": 65536}, "the default traffic"),
        ({"sha256": "ab" * 32, "clients": 700}, "the traffic profile abababababababab"),
    ],
)
def test_which_traffic_was_sent_stands_beside_the_checks(tmp_path, traffic, said):
    change = rehearsed_with(tmp_path, {}, traffic=traffic)
    assert said in read(change).text
    assert said in plain(*summary(page(change.folder)))


def test_a_difference_that_is_too_long_to_be_shown_whole_says_so(tmp_path):
    change = Sample(tmp_path).rendered()
    (change.path / "diff.txt").write_text("# lb1\n" + "+ line\n" * 400_000)
    assert page(change.folder)["diff"][-1]["hosts"].startswith("not shown: the rest of diff.txt")
