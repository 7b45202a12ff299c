"""Policy on the way: render refuses, a waiver lets through, all of it is bound and shown."""

from pathlib import Path

import pytest
from unit.intent.intents import intent, pool, server

from evenkeel.balancer.dialect import load_dialect
from evenkeel.change import findings
from evenkeel.change.approval_view import bound
from evenkeel.change.declarations import Declared, Shift, Waiver, of_manifest, read
from evenkeel.change.folder import ChangeFolder
from evenkeel.commands.approve import summary
from evenkeel.errors import EXIT_REFUSED, Problems
from evenkeel.rehearsal.plan.waivers import Policy, waived_requests
from evenkeel.report import page
from evenkeel.terminal import plain
from evenkeel.verbs.host_facts import Host
from evenkeel.verbs.render import Request, render
from evenkeel.verbs.waivers import declared_in

ROLE = Path(__file__).parents[3] / "roles" / "balancer_haproxy"
UNCHECKED = intent(pools=[pool(check={"kind": "none"})])
WAIVER = Waiver("no-check", "pool shop", "the servers have no port that answers")


def rendered(folder, wanted=UNCHECKED, live=None, template=None, **declared):
    request = Request(
        folder, "ann", "no checks", "haproxy", ROLE, template, declared=Declared(**declared)
    )
    return render(request, {"lb1": Host(wanted, live)}, write=True)


@pytest.fixture
def folder(tmp_path):
    return ChangeFolder(tmp_path / "c1")


def test_a_rule_that_stops_is_named_with_its_line_reason_and_next_step(folder):
    with pytest.raises(Problems) as caught:
        rendered(folder)
    said = str(caught.value)
    for text in ("no-check: pool shop (haproxy.cfg line ", "give it a check", "keeps its share"):
        assert text in said
    assert '"rule": "no-check", "subject": "pool shop"' in said
    assert caught.value.exit_code == EXIT_REFUSED
    assert not folder.path.exists()


def test_a_waiver_lets_exactly_its_finding_through(folder):
    assert rendered(folder, waivers=(WAIVER,))["changed"]
    for other in (
        Waiver("no-check", "pool other", "why"),
        Waiver("slow-check", "pool shop", "why"),
        Waiver("no-check", "pool shop", "why", "2020-01-01"),
    ):
        with pytest.raises(Problems, match="no-check"):
            rendered(ChangeFolder(folder.path.parent / "c2"), waivers=(other,))


def test_what_a_change_declares_is_bound_by_its_digest(folder):
    digests = {
        rendered(folder, waivers=waivers, intended_shifts=shifts)["digest"]
        for waivers in ((WAIVER,), (Waiver("no-check", "pool shop", "another reason"),))
        for shifts in ((), (Shift("shop", "web1", "bigger", points=30.0),))
    }
    assert len(digests) == 4
    assert folder.digest() in digests
    assert of_manifest(folder.manifest()).waivers[0].reason == "another reason"


def test_an_approval_is_void_when_what_was_found_is_altered(folder):
    rendered(folder, waivers=(WAIVER,))
    before = bound(folder)["shown"]
    folder.write_json(findings.FILE, {"findings": []})
    assert bound(folder)["shown"] != before


def test_whoever_approves_sees_waivers_and_shifts_with_their_reasons(folder):
    shift = Shift("shop", "web1", "new hardware", to_percent=50.0)
    rendered(folder, waivers=(WAIVER,), intended_shifts=(shift,))
    shown = plain(*summary(page(folder)))
    assert f"rule no-check is waived for pool shop: {WAIVER.reason}" in shown
    assert "server web1 of pool shop may shift to 50 %: new hardware" in shown


def test_a_waiver_without_a_finding_is_told(folder):
    said = "\n".join(rendered(folder, intent(), waivers=(WAIVER,))["summary"])
    assert "the waiver of no-check for pool shop has nothing to waive" in said


def test_a_waiver_of_what_only_the_rehearsal_finds_is_not_told_to_waive_nothing(folder):
    asked, over = (Waiver("asked", "POST", "read only", day) for day in ("", "2020-01-01"))
    said = "\n".join(rendered(folder, intent(), waivers=(asked,))["summary"])
    assert "nothing to waive" not in said
    assert waived_requests(folder.manifest()) == {"POST": "read only"}
    assert waived_requests({"declared": {"waivers": [vars(WAIVER) | {"until": None}]}}) == {}
    later = ChangeFolder(folder.path.parent / "c2")
    assert "nothing to waive" in "\n".join(rendered(later, intent(), waivers=(over,))["summary"])
    assert waived_requests(later.manifest()) == {}


def test_a_fleet_is_taken_over_with_the_faults_that_it_has(folder, tmp_path):
    rendered(folder, waivers=(WAIVER,))
    live = {"haproxy.cfg": (folder.bundle / "lb1" / "haproxy.cfg").read_bytes()}
    wanted = intent(pools=[pool(servers=4, check={"kind": "none"})])
    assert rendered(ChangeFolder(tmp_path / "c2"), wanted, live)["changed"]


def test_a_template_of_one_s_own_is_judged_by_what_it_prints(folder, tmp_path):
    template = tmp_path / "own.j2"
    text = (ROLE / "templates" / "haproxy.cfg.j2").read_text()
    template.write_text(text.replace("retries 3", "retries 0"))
    with pytest.raises(Problems, match="no-retries: pool shop"):
        rendered(folder, intent(), template=template)


def test_the_rehearsal_judges_the_files_anew_and_has_a_check_for_each_rule(folder):
    rendered(folder, waivers=(WAIVER,))
    found = {one["id"]: one for one in Policy(folder, ROLE).checks(["lb1"])}
    assert found["policy"]["verdict"] == "pass"
    assert found["policy:no-check"]["verdict"] == "pass"
    assert found["policy:no-check"]["reasons"][0].startswith("waived: no-check: pool shop")
    path = folder.bundle / "lb1" / "haproxy.cfg"
    path.write_text(path.read_text().replace("retries 3", "retries 0"))
    found = {one["id"]: one for one in Policy(folder, ROLE).checks(["lb1"])}
    assert found["policy:no-retries"]["verdict"] == found["policy"]["verdict"] == "fail"


def test_maintenance_with_an_end_is_not_told_by_the_file_either(folder):
    away = {"state": "draining", "until": "2999-01-01", "reason": "new disks"}
    wanted = intent(pools=[{**pool(), "servers": [server(1), server(2), server(3, **away)]}])
    host = {"lb1": findings.Host({}, {}, None)}
    rendered(folder, wanted)
    files = {"haproxy.cfg": (folder.bundle / "lb1" / "haproxy.cfg").read_bytes()}
    from evenkeel.intent.parse import normalise, parse_intent

    host = findings.Host(files, normalise(parse_intent(wanted)))
    rules = {one["rule"] for one in findings.of_host(load_dialect(ROLE), host, "2026-01-01")}
    assert "out-without-end" not in rules


@pytest.mark.parametrize(
    ("name", "row", "path"),
    [
        ("waivers", {"rule": "a", "subject": "b"}, "waivers[0].reason"),
        ("waivers", {"rule": "a", "subject": "b", "reason": "x\x1b[2J"}, "waivers[0].reason"),
        ("waivers", {"rule": "a", "subject": "b", "reason": "c", "until": "soon"}, "until"),
        ("waivers", {"rule": "a", "subject": "b", "reason": "c", "host": "d"}, "host"),
        ("waivers", "no-check", "waivers[0]"),
        ("intended_shifts", {"pool": "a", "server": "b", "reason": "c"}, "points or to_percent"),
        ("intended_shifts", {"pool": "a", "server": "b", "reason": "c", "points": 101}, "points"),
        ("intended_shifts", {"pool": "a", "server": "b", "reason": "c", "points": True}, "points"),
    ],
)
def test_a_declaration_without_a_meaning_is_refused_with_its_place(name, row, path):
    with pytest.raises(Problems) as caught:
        read({name: [row]})
    assert path in str(caught.value)


def test_the_hosts_of_a_change_declare_together():
    row = {"rule": "no-check", "subject": "pool shop", "reason": "why"}
    found = declared_in(["a", "b"], {"a": {"waivers": [row]}, "b": {"waivers": [dict(row)]}})
    assert found.waivers == (Waiver("no-check", "pool shop", "why"),)
    with pytest.raises(Problems, match="a list"):
        declared_in(["a"], {"a": {"waivers": row}})


def test_lines_that_stick_clients_make_the_forecast_unknown(folder):
    sticky = ["stick-table type ip size 1m expire 10m", "stick on src"]
    said = rendered(folder, intent(pools=[pool(extra=sticky)]))["summary"]
    assert any("cannot be forecast" in line and "stick on src" in line for line in said)
