"""A new name is no new thing: what is live already stays told, and what is taken away is seen."""

import pytest
from unit.balancer_haproxy.files import SOUND, edited, stopped

UNCHECKED = SOUND.replace("api2 10.0.1.2:8080 check", "api2 10.0.1.2:8080")
RENAMED = (
    ("backend api\n", "backend gateway\n"),
    ("use_backend api if", "use_backend gateway if"),
)


@pytest.mark.parametrize(
    "edits",
    [RENAMED, (("server api2 ", "server node2 "),), (*RENAMED, ("server api2 ", "server node2 "))],
)
def test_what_is_live_already_stops_nothing_under_a_new_name(edits):
    assert not stopped(edited(*edits, text=UNCHECKED), UNCHECKED)


def test_a_listener_may_be_renamed():
    live = SOUND.replace("    option forwardfor\n", "")
    assert not stopped(edited(("frontend www\n", "frontend web\n"), text=live), live)


def test_what_a_renamed_pool_loses_stops():
    text = edited(*RENAMED, (" check maxconn 100", " maxconn 100"))
    assert "no-check" in stopped(text)
    text = edited(*RENAMED, (" check maxconn 100", " check maxconn 10"))
    assert "maxconn-cut" in stopped(text)


def test_a_pool_with_other_servers_is_a_new_one():
    text = edited(*RENAMED, ("10.0.1.", "10.0.9."), text=UNCHECKED)
    assert "no-check" in stopped(text, UNCHECKED)
