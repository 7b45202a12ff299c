"""Drains and pinned snapshots as an operator meets them: by playbooks, over the whole fleet."""

import getpass

import pytest

WEB2 = {"pool": "web", "server": "web2"}


@pytest.fixture(scope="module")
def fleet_of(road):
    """Hosts that one change is live on."""
    road.forget()
    road.confirmed("first")
    return road


def drained(road):
    """Give who drained web2 on each host, and until when; None where nobody did."""
    found = {}
    for host, status in road.each(road.status).items():
        records = [one for one in status["drains"] if one["server"] == "web2"]
        assert all(one["in_force"] for one in records)
        found[host] = records[0] if records else None
    return found


def test_a_drain_is_named_in_the_table_and_gone_after_undrain(fleet_of):
    road = fleet_of
    before = road.traces()
    said = road.play("drain", "--check", **WEB2, reason="disk full")
    assert said.changed("Keep new requests from the server") == set(road.hosts)
    assert road.traces() == before

    words = ("--limit", "lb1,lb2", "-e", '{"reason": "disk full: see ticket 12"}')
    assert road.play("drain", *words, **WEB2, minutes="90").code == 0
    again = road.play("drain", *words, **WEB2, minutes="90")
    assert again.code == 0
    assert again.changed("Keep new requests from the server") == set()
    on = drained(road)
    assert on["lb3"] is None
    assert {on[host]["owner"] for host in ("lb1", "lb2")} == {getpass.getuser()}

    table = road.play("status").text.split("drained servers\n")[1]
    rows = [line.split() for line in table.splitlines() if line.startswith("lb")]
    assert [row[:3] for row in rows] == [
        ["lb1", "web/web2", getpass.getuser()],
        ["lb2", "web/web2", getpass.getuser()],
    ]
    assert on["lb1"]["until"][:16] in table
    assert "disk full: see ticket 12" in table

    said = road.play("undrain", **WEB2)
    assert said.changed("Give the server its share again") == {"lb1", "lb2"}
    assert drained(road) == dict.fromkeys(road.hosts)
    assert "drained servers" not in road.play("status")


def test_a_server_that_is_not_there_is_refused_with_those_that_are(fleet_of):
    for words in ((), ("--check",)):
        said = fleet_of.play("drain", *words, pool="web", server="web9", reason="typo")
        assert said.code == 10
        assert "web1" in said and "Traceback" not in said


def test_a_drain_without_a_reason_reaches_no_host(fleet_of):
    said = fleet_of.play("drain", **WEB2)
    assert said.code == 10
    assert "reason: wanted 1 to 200 printable characters" in said
    assert drained(fleet_of) == dict.fromkeys(fleet_of.hosts)


def test_a_snapshot_is_pinned_and_unpinned(fleet_of):
    road = fleet_of

    def pinned(host):
        (one,) = [one for one in road.status(host)["snapshots"] if one["name"] == "friday"]
        return one["pinned"]

    for word, wanted in (("true", True), ("false", False)):
        assert road.play("snapshot", snapshot="friday", pinned=word).code == 0
        assert set(road.each(pinned).values()) == {wanted}
