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


PASSED = """
frontend tls
    mode tcp
    bind *:8443
    acl wiki req.ssl_sni -m end .wiki.example
    use_backend mail if { req.ssl_sni -i mail.example }
    use_backend docs if wiki
    default_backend rest
backend mail
    mode tcp
    server m1 10.8.0.1:443 check
backend docs
    mode tcp
    server d1 10.8.1.1:443 check
backend rest
    mode tcp
    server r1 10.8.2.1:443 check
"""
LIVE = SOUND + PASSED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mail.example", "mial.example"),
        ("end .wiki.example", "end .wkii.example"),
        ("default_backend rest", "default_backend docs"),
        ("use_backend docs if wiki", "use_backend mail if wiki"),
    ],
)
def test_a_name_that_leads_elsewhere_stops_where_nobody_can_see_who_answers(old, new):
    assert stopped(LIVE.replace(old, new), LIVE) == {"server-name-rerouted"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    default_backend rest", "    use_backend docs if { req.ssl_sni -i new.example }\n"
         "    default_backend rest"),
        ("backend docs", "backend pages"),
        ("acl wiki req.ssl_sni -m end", "acl wiki req.ssl_sni -i -m end"),
    ],
)  # fmt: skip
def test_a_name_more_or_another_name_of_a_pool_does_not(old, new):
    text = LIVE.replace(old, new)
    if new == "backend pages":
        text = text.replace("use_backend docs", "use_backend pages")
    assert stopped(text, LIVE) == set()


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
