"""What one client meets: limits below what a user needs, and the way back to its own server."""

import pytest
from unit.balancer_haproxy.files import SOUND, edited, stopped

ROUTES = "    use_backend api if is_api\n"
TABLE = "    stick-table type ip size 1m expire 1h store http_req_rate(10s),conn_cur\n"
TRACK = "    http-request track-sc0 src\n"


def limited(rule):
    return edited((ROUTES, TABLE + TRACK + rule + ROUTES))


@pytest.mark.parametrize(
    "rule",
    [
        "    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 5 }\n",
        "    acl fast sc0_http_req_rate ge 9\n    http-request tarpit if fast\n",
        "    tcp-request connection reject if { src_conn_cur gt 2 }\n",
    ],
)
def test_a_limit_that_one_user_reaches_stops(rule):
    assert stopped(limited(rule)) == {"low-client-limit"}


@pytest.mark.parametrize(
    "rule",
    [
        "    http-request deny if { sc_http_req_rate(0) gt 100 }\n",
        "    http-request deny if { sc_http_req_rate(0) gt 5 } { path_beg /login }\n",
        "    http-request deny if { sc_http_req_rate(0) gt 5 } METH_POST\n",
        "    http-request set-header X-Fast 1 if { sc_http_req_rate(0) gt 5 }\n",
        "    tcp-request connection reject if { src_conn_cur gt 50 }\n",
    ],
)
def test_a_limit_for_abuse_or_for_one_path_does_not(rule):
    assert stopped(limited(rule)) == set()


def test_a_cookie_value_stays_with_its_server():
    swapped = edited(
        ("app1 10.0.0.1:8080", "app1 10.0.0.9:8080"),
        ("app2 10.0.0.2:8080", "app2 10.0.0.1:8080"),
        ("10.0.0.9:8080", "10.0.0.2:8080"),
    )
    assert stopped(swapped) == {"cookie-of-another-server"}
    assert stopped(edited(("app1 10.0.0.1:8080", "app1 10.0.0.9:8080"))) == set()
    assert stopped(edited(("cookie a1", "cookie z1"))) == set()


def test_a_hash_key_that_slipped_by_a_letter_stops_and_another_key_does_not():
    ring = edited(
        ("    balance roundrobin\n", "    balance hdr(X-Tenant)\n    hash-type consistent\n")
    )
    assert stopped(ring.replace("X-Tenant", "X-Tennant"), ring) == {"hash-key-mistyped"}
    assert stopped(ring.replace("X-Tenant", "X-Customer"), ring) == set()
    assert stopped(ring.replace("X-Tenant", "x-tenant"), ring) == set()


HTTPS = "    http-request redirect scheme https code 301 unless { ssl_fc }\n"


def test_users_of_plain_http_are_still_sent_to_https():
    live = edited((ROUTES, HTTPS + ROUTES))
    assert stopped(SOUND, live) == {"https-redirect-gone"}
    assert stopped(live.replace("code 301", "code 308"), live) == set()
    secure = live.replace("    bind *:80\n", "").replace(HTTPS, "")
    assert "https-redirect-gone" not in stopped(secure, live)


def test_a_client_address_that_is_the_same_for_everybody_stops():
    made_up = "    http-request set-header X-Forwarded-For 127.0.0.1\n"
    assert stopped(edited((ROUTES, made_up + ROUTES))) == {"client-address-made-up"}
    told = made_up.replace("127.0.0.1", "%[src]")
    assert stopped(edited((ROUTES, told + ROUTES))) == set()
