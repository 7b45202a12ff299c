"""What either file names gets a stand-in; what is live names things that the candidate does not."""

import pytest

from evenkeel.balancer.dialect import load_dialect
from evenkeel.containers.names import ROOT
from evenkeel.intent import completed
from evenkeel.rehearsal.plan import world
from evenkeel.rehearsal.plan.references import with_references

DIALECT = load_dialect(ROOT / "roles" / "balancer_haproxy")
LIVE = b"""\
global
    log loghost.corp:514 local0
resolvers dns
    nameserver one 10.0.0.53:53
frontend www
    bind 10.0.9.1:80
    default_backend mail
backend mail
    option smtpchk
    server a old.corp:25 check
"""
NEW = LIVE.replace(b"old.corp", b"new.corp").replace(b"10.0.9.1", b"10.0.9.2")


def made(live, new):
    start = world.build(completed(DIALECT.handwritten({"haproxy.cfg": new})))
    return with_references(
        start, DIALECT, {"haproxy.cfg": live} if live else {}, {"haproxy.cfg": new}
    )


def test_names_and_addresses_of_both_files_are_there_each_with_its_own():
    facts = made(LIVE, NEW)
    assert set(facts["names"]) == {"new.corp", "old.corp", "loghost.corp"}
    assert len(set(facts["names"].values())) == 3
    assert facts["addresses"] == ["10.0.9.1", "10.0.9.2"]
    assert facts["nameservers"] == [("10.0.0.53", 53)]


def test_servers_that_are_checked_in_their_own_protocol_speak_it():
    facts = made(LIVE, NEW)
    here = {f"{facts['names'][host]}:25" for host in ("old.corp", "new.corp")}
    assert set(facts["speaks"]) == here


def test_pools_are_unchanged_only_where_something_is_live():
    assert made(LIVE, LIVE)["unchanged"] == ["mail"]
    assert made(LIVE, NEW)["unchanged"] == []
    assert made(None, NEW)["unchanged"] == []


def test_a_server_that_is_there_speaks_tls_as_it_does_now_and_a_new_one_as_it_is_asked():
    live = LIVE.replace(
        b"old.corp:25 check", b"10.0.0.1:443 ssl verify none\n    server b 10.0.0.2:80"
    )
    assert made(live, live)["over_tls"] == ["10.0.0.1:443"]
    lost = live.replace(b" ssl verify none", b"")
    assert made(live, lost)["over_tls"] == ["10.0.0.1:443"]
    put = live.replace(b"10.0.0.2:80", b"10.0.0.2:80 ssl\n    server c 10.0.0.3:443 ssl")
    assert made(live, put)["over_tls"] == ["10.0.0.1:443", "10.0.0.3:443"]


@pytest.mark.parametrize("place", ["10.0.0.300:53", "10.0.0.53:99999", "10.0.0.53:0", "10.0.0:53"])
def test_a_name_server_with_a_typo_is_left_to_the_balancer_s_own_check(place):
    new = NEW.replace(b"10.0.0.53:53", place.encode())
    assert made(None, new)["nameservers"] == []


@pytest.mark.parametrize("place", ["10.0.9.300:80", "10.0.9:80", "10.0.9.1:99999"])
def test_a_bind_with_a_typo_is_left_to_the_balancer_s_own_check(place):
    also = b"    bind 10.0.9.7:81\n    bind " + place.encode()
    assert made(None, NEW.replace(b"    bind 10.0.9.2:80", also))["addresses"] == ["10.0.9.7"]


def test_a_server_s_address_with_a_typo_is_no_host_name():
    new = NEW + b"    server b 10.0.0.300:25 check\n"
    facts = made(None, new)
    assert set(facts["names"]) == {"new.corp", "loghost.corp"}


def checked(expects):
    """Give a configuration of which the servers' health check has `expects` to say."""
    return LIVE.replace(
        b"option smtpchk", b"option httpchk GET /up\n    http-check expect " + expects
    ).replace(b"old.corp:25", b"10.0.0.1:80")


def answered(live, new):
    facts = made(checked(live) if live else None, checked(new))
    return facts["live_health"]["10.0.0.1:80"]["/up"], facts["health"]["10.0.0.1:80"]["/up"]


def test_a_health_check_is_answered_as_both_want_it_where_one_status_is_well_for_both():
    assert answered(b"status 200", b"status 204,200") == (200, 200)
    assert answered(b"status 200-299", b"status 204") == (204, 204)
    assert answered(b"! status 500", b"status 200") == (200, 200)
    assert answered(None, b"status 204") == (204, 204)


def test_a_health_check_that_wants_another_status_is_answered_as_each_of_the_two_wants_it():
    assert answered(b"status 200", b"status 204") == (200, 204)
    assert answered(b"! status 200", b"status 200") == (204, 200)


def test_each_of_two_paths_of_one_server_is_answered_before_and_after():
    live = checked(b"status 204")
    facts = made(live, live.replace(b"GET /up", b"GET /ready").replace(b"204", b"200"))
    assert facts["health"]["10.0.0.1:80"] == {"/up": 204, "/ready": 200}
    assert facts["live_health"] == facts["health"]
