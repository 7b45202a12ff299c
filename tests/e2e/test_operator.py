"""Playbooks as an operator uses them: --check, --diff, --limit, a stop after any verb."""

import pytest
from e2e.helpers import APPROVER, AUTHOR, STAGE, files, timeout


@pytest.fixture(scope="module")
def lived_in(road):
    """A fleet with one confirmed change, `first`, and an approved one, `next`, that waits."""
    road.forget()
    road.confirmed("first")
    road.ready("next", timeout(45))
    return road


def nothing_changes(road, verb, **extra):
    """Run a verb with --check; give what it said once nothing is different anywhere."""
    hosts, changes = road.traces(), files(road.changes)
    said = road.play(verb, "--check", **extra)
    log = road.playbooks.log.name
    assert {**files(road.changes), log: None} == {**changes, log: None}
    assert road.traces() == hosts
    assert said.code == 0, said.text
    return said


def test_check_of_a_deploy_changes_nothing_and_names_every_host_that_it_would_reach(lived_in):
    road = lived_in
    said = nothing_changes(road, "deploy", change="next")
    would = said.changed("Prepare the release and let the host's own balancer check it")
    assert would == said.changed("Activate the release under a lease") == set(road.hosts)


def test_check_of_a_deploy_refuses_what_the_deploy_would_refuse(lived_in):
    road = lived_in
    said = road.play("deploy", "--check", change="next", canary_lease_seconds="5")
    assert said.code == 10
    assert "canary_lease_seconds: wanted a whole number from 10 to 86400; got 5" in said


def test_check_of_a_render_says_what_would_differ_and_leaves_no_folder(lived_in):
    road = lived_in
    hosts = road.traces()
    said = road.render("looked-at", road.intent(timeout(46)), "--check", "--diff")
    assert said.code == 0, said.text
    assert "+    timeout server 46s" in said
    assert not (road.changes / "looked-at").exists()
    assert road.traces() == hosts


@pytest.mark.parametrize(
    ("verb", "extra", "would_change"),
    [
        ("validate", {"change": "next"}, False),
        ("approve", {"change": "next", "approver": APPROVER, "approver_key": "none"}, False),
        ("rollback", {}, True),
        ("rollback", {"undo": "another"}, False),
        ("snapshot", {"snapshot": "friday"}, True),
        ("status", {}, False),
    ],
)
def test_check_of_every_other_verb_changes_nothing_and_says_what_would(
    lived_in, verb, extra, would_change
):
    said = nothing_changes(lived_in, verb, **extra)
    assert ("changed: [" in said) == would_change


@pytest.mark.parametrize(
    ("verb", "extra", "words"),
    [
        ("approve", {"change": "next", "approver": AUTHOR, "approver_key": "none"}, "author of a"),
        ("rollback", {"to": "sunday"}, "no snapshot and no confirmed release of this name"),
        ("deploy", {"change": "next", "fleet": "balancer"}, "no host is in the group"),
    ],
)
def test_check_refuses_what_the_verb_would_refuse(lived_in, verb, extra, words):
    said = lived_in.play(verb, "--check", **extra)
    assert said.code == 10, said.text
    assert words in said


def test_check_of_the_whole_road_says_what_would_happen_and_leaves_nothing(lived_in):
    road = lived_in
    hosts = road.traces()
    words = road.intent_words("unborn", road.intent(timeout(47)))
    who = {"approver": APPROVER, "approver_key": "none"}
    said = road.play("change", "--check", "--diff", *words, change="unborn", **who)
    assert said.code == 0, said.text
    assert "+    timeout server 47s" in said
    assert said.changed("Rehearse every distinct bundle of the change with traffic")
    assert not (road.changes / "unborn").exists()
    assert road.traces() == hosts


def test_diff_shows_the_way_back_of_a_rollback(lived_in):
    said = lived_in.play("rollback", "--check", "--diff")
    assert said.code == 0, said.text
    assert "+++ after: lb1: before first haproxy.cfg" in said
    assert "-# Written by Evenkeel" in said


def test_diff_shows_what_a_deploy_puts_in_place_of_what_is_live(lived_in):
    said = nothing_changes(lived_in, "deploy", change="next")
    assert "timeout server" not in said
    said = lived_in.play("deploy", "--check", "--diff", change="next")
    assert "-    timeout server 30s" in said
    assert "+    timeout server 45s" in said


def test_a_template_of_ones_own_replaces_the_roles_by_one_variable(lived_in, tmp_path):
    road, own = lived_in, tmp_path / "own.j2"
    role = road.fleet.root / "roles" / "balancer_haproxy"
    own.write_text("# Ours\n" + (role / "templates" / "haproxy.cfg.j2").read_text())
    said = road.render("own", road.intent(), "-e", f"balancer_haproxy_template={own}")
    assert said.code == 0, said.text
    assert "The intent changes nothing, the files do" in said
    folder = road.folder("own")
    for host in road.hosts:
        assert (folder.bundle / host / "haproxy.cfg").read_text().startswith("# Ours\n# Written")
    road.rehearsed(folder)
    road.approve(folder)
    said = nothing_changes(road, "deploy", change="own")
    assert said.changed("Activate the release under a lease") == set(road.hosts)


def test_limit_renders_for_these_hosts_alone_with_the_bytes_they_get_in_the_whole_fleet(lived_in):
    road = lived_in
    folder = road.ready("only-lb2", timeout(45), "--limit", "lb2")
    assert folder.hosts() == ["lb2"]
    whole = road.folder("next").bundle / "lb2" / "haproxy.cfg"
    assert (folder.bundle / "lb2" / "haproxy.cfg").read_bytes() == whole.read_bytes()


def test_limit_deploys_to_these_hosts_alone(lived_in):
    road = lived_in
    before = road.traces("lb1", "lb3")
    with road.traffic():
        said = road.deploy("only-lb2", "--limit", "lb2", stages=(STAGE,))
    assert said.code == 0, said.text
    assert road.live() == {"lb1": "first", "lb2": "only-lb2", "lb3": "first"}
    assert road.outcome("only-lb2")["hosts"] == {"lb2": "confirmed"}
    assert road.traces("lb1", "lb3") == before
    assert road.rollback("--limit", "lb2").code == 0


def test_every_verb_before_deploy_leaves_the_hosts_alone_and_says_the_same_when_repeated(lived_in):
    road = lived_in
    before = road.traces()
    folder = road.folder("next")
    records = files(folder.path)
    key = str(road.fleet.person("approver"))
    for verb, extra in (("validate", {}), ("approve", {"approver": APPROVER, "approver_key": key})):
        said = road.play(verb, change="next", **extra)
        assert said.code == 0, said.text
        assert "changed: [" not in said
    assert road.render("next", road.intent(timeout(45))).code == 0
    now = files(folder.path)
    del records["report.html"], now["report.html"]
    assert now == records
    assert road.traces() == before
