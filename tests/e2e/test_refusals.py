"""What must not pass is refused with one clear error and exit code 10, and no host is touched."""

import json
import shlex
import subprocess

import pytest
from e2e.helpers import APPROVER, AUTHOR, timeout

from evenkeel.change.bundle import release_archive
from evenkeel.errors import EXIT_REFUSED
from evenkeel.remote import arguments


@pytest.fixture(scope="module")
def waiting(road):
    """Hosts configured by hand, and a rehearsed and approved change, `ready`, that waits."""
    road.forget()
    road.ready("ready", timeout(45))
    return road


def refused(road, run, *words):
    """Demand that `run` is refused with `words` in one error, and that it touches nothing."""
    before = road.traces()
    said = run()
    assert said.code == EXIT_REFUSED, said.text
    assert said.text.count("[ERROR]") == 1, said.text
    assert "Traceback" not in said
    for word in words:
        assert word in said
    assert road.traces() == before


def server(value):
    return value["pools"][0]["servers"][0]


BAD_INTENTS = {
    "unknown_key": (lambda v: v["pools"][0].update(algoritm={}), "pools[0].algoritm"),
    "wrong_type": (lambda v: server(v).update(weight="heavy"), "pools[0].servers[0].weight"),
    "duplicate_server": (lambda v: v["pools"][0]["servers"].append(server(v)), "web1"),
    "empty_pool": (lambda v: v["pools"][0].update(servers=[]), "pools[0].servers"),
    "no_address": (lambda v: server(v).update(address="10.0.0.300"), "pools[0].servers[0].address"),
    "newline_in_a_name": (
        lambda v: server(v).update(name="web1\n    user root"),
        "servers[0].name",
    ),
    "unknown_pool": (
        lambda v: v["listeners"][0].update(routes=[{"name": "r", "pool": "none", "paths": ["/"]}]),
        "routes[0].pool",
    ),
}


@pytest.mark.parametrize("case", BAD_INTENTS)
def test_an_intent_with_a_fault_is_not_rendered(waiting, case):
    road, (edit, path) = waiting, BAD_INTENTS[case]
    refused(road, lambda: road.render("bad", road.intent(edit)), path)
    assert not (road.changes / "bad").exists()


def test_all_faults_of_an_intent_are_reported_at_once(waiting):
    def edit(value):
        for fault, _ in (BAD_INTENTS["wrong_type"], BAD_INTENTS["unknown_key"]):
            fault(value)

    road = waiting
    refused(
        road,
        lambda: road.render("bad", road.intent(edit)),
        BAD_INTENTS["wrong_type"][1],
        BAD_INTENTS["unknown_key"][1],
    )


@pytest.mark.parametrize("change", ["../up", "Capital", "", "a b"])
def test_a_change_id_that_is_none_is_refused(waiting, change):
    extra = {"@": json.dumps({"change": change})}
    refused(waiting, lambda: waiting.play("render", **extra), "no usable name")


@pytest.mark.parametrize("verb", ["validate", "deploy"])
def test_a_change_that_was_never_rendered_is_refused(waiting, verb):
    refused(waiting, lambda: waiting.play(verb, change="unheard-of"), "no change unheard-of")


# Each alters the change `altered` once it is rehearsed and approved.


def alter_bundle(road, folder):
    path = folder.bundle / "lb2" / "haproxy.cfg"
    path.write_bytes(path.read_bytes() + b"# one more line\n")


def alter_record(road, folder):
    path = folder.staging_json
    path.write_text(path.read_text().replace('"bundles":[]', '"bundles":[ ]'))


def alter_verdict(road, folder):
    path = folder.staging_json
    path.write_text(path.read_text().replace('"verdict":"pass"', '"verdict":"fail"'))


def approve_another_digest(road, folder):
    for path in road.folder("ready").approvals.iterdir():
        (folder.approvals / path.name).write_bytes(path.read_bytes())


def approve_under_the_authors_name(road, folder):
    for path in sorted(folder.approvals.iterdir()):
        path.rename(path.with_name(path.name.replace(APPROVER, AUTHOR)))


def rehearse_again(road, folder):
    road.rehearsed(folder)


def approve_nothing(road, folder):
    for path in folder.approvals.iterdir():
        path.unlink()


ALTERED = {
    "bundle_altered_after_render": (alter_bundle, "bundle/lb2/haproxy.cfg"),
    "record_altered": (alter_record, "staging.json was altered"),
    "verdict_that_is_not_pass": (alter_verdict, "verdict fail"),
    "approval_for_another_digest": (approve_another_digest, "is for another state"),
    "approval_by_the_author": (approve_under_the_authors_name, AUTHOR),
    "rehearsed_again_after_approval": (rehearse_again, "is for another state"),
    "without_approval": (approve_nothing, "0 of 1 approvals"),
}


@pytest.mark.parametrize("case", ALTERED)
def test_a_change_that_is_not_the_one_that_was_approved_is_not_deployed(waiting, case):
    road, (alter, words) = waiting, ALTERED[case]
    folder = road.ready("altered", timeout(46))
    alter(road, folder)
    refused(road, lambda: road.deploy("altered"), words)
    assert not folder.plan_json.exists()


@pytest.mark.parametrize("way", [approve_nothing, approve_another_digest])
def test_a_host_refuses_by_itself_what_nobody_approved_whatever_its_controller_is(waiting, way):
    road = waiting
    folder = road.ready("pushed", timeout(49))
    way(road, folder)
    release = folder.manifest()["hosts"]["lb1"]["release"]
    words = arguments("haproxy", "prepare", {"change": "pushed", "release": release})
    before = road.traces("lb1")
    done = subprocess.run(
        [*road.fleet.ssh("lb1", "evenkeel"), shlex.join(words)],
        input=release_archive(folder.path, "lb1"),
        capture_output=True,
        timeout=60,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert done.returncode == EXIT_REFUSED and "0 of 1 approvals" in answer["error"]["what"]
    assert road.traces("lb1") == before
    assert road.status("lb1")["approvals_required"] == 1


def test_the_author_cannot_approve(waiting):
    road = waiting
    folder = road.ready("own", timeout(47))
    approve_nothing(road, folder)
    key = str(road.fleet.person("author"))
    extra = {"change": "own", "approver": AUTHOR, "approver_key": key}
    refused(road, lambda: road.play("approve", **extra), "author of a change cannot approve it")
    assert list(folder.approvals.iterdir()) == []


def test_the_author_cannot_approve_under_another_name(waiting):
    road = waiting
    key = str(road.fleet.person("author"))
    extra = {"change": "own", "approver": APPROVER, "approver_key": key}
    refused(road, lambda: road.play("approve", **extra), APPROVER)


def test_a_freeze_keeps_a_deploy_out_and_says_why(waiting):
    freeze = {"from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z", "reason": "the sale"}
    words = ("-e", json.dumps({"freeze_windows": [freeze]}))
    refused(waiting, lambda: waiting.deploy("ready", *words), "frozen: the sale")


def test_a_host_with_nothing_to_go_back_to_refuses_a_rollback(waiting):
    refused(waiting, lambda: waiting.rollback(), "no change to undo on any host")


def test_a_live_file_edited_by_hand_is_named_with_its_host(waiting):
    road = waiting
    road.shell(
        "lb2", "cp -p /etc/haproxy/haproxy.cfg /tmp/kept; echo '#' >> /etc/haproxy/haproxy.cfg"
    )
    try:
        refused(road, lambda: road.deploy("ready"), "lb2: wanted base", "render the change again")
    finally:
        road.shell("lb2", "mv /tmp/kept /etc/haproxy/haproxy.cfg")


def test_a_host_with_another_program_than_its_controller_is_named(waiting):
    road = waiting
    program = "/usr/local/sbin/evenkeel-host"
    road.shell("lb2", f"cp -p {program} /tmp/kept; echo >> {program}")
    try:
        refused(road, lambda: road.deploy("ready"), "lb2: wanted build", "playbooks/install.yml")
    finally:
        road.shell("lb2", f"mv /tmp/kept {program}")


def test_no_program_is_replaced_while_it_watches_over_a_change(waiting):
    road = waiting
    driver = "/usr/local/lib/evenkeel/drivers/haproxy.zip"
    road.ready("watched", timeout(50))
    road.activate("watched", "lb3")
    road.shell("lb3", f"cp -p {driver} /tmp/kept; echo >> {driver}")
    try:
        said = ("lb3: wanted no change under way", "watched", "scripts/rollback")
        refused(road, lambda: road.play("install", ansible_user="admin"), *said)
    finally:
        road.shell("lb3", f"mv /tmp/kept {driver}")
        assert road.rollback("-e", "undo=watched").code == 0


def test_a_host_that_another_change_holds_is_named_with_that_change(waiting):
    road = waiting
    road.ready("holder", timeout(48))
    road.activate("holder", "lb3")
    try:
        refused(road, lambda: road.deploy("ready"), "lb3: wanted no change under way", "holder")
    finally:
        assert road.rollback("-e", "undo=holder").code == 0


def test_a_host_that_does_not_take_the_release_keeps_every_host_from_activating_it(waiting):
    road = waiting

    def certificate(value):
        tls = {"certificate": "/etc/haproxy/errors/400.http"}
        value["listeners"][0]["binds"].append({"address": "*", "port": 443, "tls": tls})

    road.ready("no-certificate", certificate)
    before = road.untouched(*road.hosts)
    said = road.deploy("no-certificate")
    assert said.code == EXIT_REFUSED, said.text
    assert road.untouched(*road.hosts) == before
