"""Rules that compare with what is live: what is said of a health check that wants otherwise."""

import pytest
from unit.balancer_haproxy.files import DIALECT

CONFIG = """\
defaults
    mode http
    option httpchk GET /up
    http-check expect status {status}
frontend www
    bind :80
    default_backend web
backend web
{lines}
"""
CHECKED = "    server a 10.0.0.1:80 check\n    server b 10.0.0.2:80 check"


def hits(lines=CHECKED, live_status="200", status="204"):
    live, new = (
        {"haproxy.cfg": CONFIG.format(lines=lines, status=each).encode()}
        for each in (live_status, status)
    )
    found = DIALECT.rules(new, live)
    return [one["pool"] for one in found if one["rule"] == "checks-want-otherwise"]


def test_one_finding_for_a_pool_whose_servers_would_all_be_down():
    assert hits() == ["web"]


@pytest.mark.parametrize(
    "lines",
    [
        CHECKED.replace(" check", ""),
        CHECKED.replace(" check", " track other/a"),
        CHECKED.replace(" check", " check disabled"),
        "    option tcp-check\n" + CHECKED,
        "    option httpchk GET /own\n" + CHECKED,
        "    http-check send meth HEAD uri /own\n" + CHECKED,
        "    http-check expect status 200\n" + CHECKED,
    ],
)
def test_nothing_is_said_of_a_pool_that_does_not_use_the_check_of_defaults(lines):
    assert hits(lines) == []


@pytest.mark.parametrize(("live", "new"), [("200", "200-299"), ("200,204", "204"), ("204", "204")])
def test_nothing_is_said_where_one_status_is_well_for_both(live, new):
    assert hits(live_status=live, status=new) == []
