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


LIMIT = "    http-request deny if {{ {} gt 30 }}\n"
OF_A_MINUTE = "backend by-minute\n    stick-table type ip size 1m store http_req_rate(1m)\n"
OF_A_SECOND = OF_A_MINUTE.replace("minute", "second").replace("1m)", "1s)")


@pytest.mark.parametrize("first", [OF_A_MINUTE, OF_A_SECOND])
@pytest.mark.parametrize(
    "how", ["src_http_req_rate({})", "sc_http_req_rate(0,{})", "sc0_http_req_rate({})", "tracked"]
)
def test_a_rate_is_that_of_the_table_that_is_named_or_tracked(first, how):
    tables = first + (OF_A_SECOND if first == OF_A_MINUTE else OF_A_MINUTE)
    for table, stops in (("by-minute", True), ("by-second", False)):
        track = f"    http-request track-sc0 src table {table}\n"
        rule = LIMIT.format("sc_http_req_rate(0)" if how == "tracked" else how.format(table))
        text = edited((ROUTES, track + rule + ROUTES)) + tables
        assert ("low-client-limit" in stopped(text)) is stops


@pytest.mark.parametrize("sample", ["sc_http_req_rate(1)", "src_http_req_rate(nowhere)"])
def test_a_rate_of_a_table_that_is_not_known_is_no_finding(sample):
    text = edited((ROUTES, TRACK + LIMIT.format(sample) + ROUTES)) + OF_A_MINUTE
    assert "low-client-limit" not in stopped(text)


def test_a_rate_that_is_tracked_in_two_tables_is_no_finding():
    track = "    http-request track-sc0 src table by-{}\n"
    both = track.format("minute") + track.format("second") + LIMIT.format("sc0_http_req_rate")
    text = edited((ROUTES, both + ROUTES)) + OF_A_MINUTE + OF_A_SECOND
    assert "low-client-limit" not in stopped(text)


def test_a_limit_in_a_pool_stops_unless_only_some_routes_lead_there():
    rule = TABLE.replace("10s", "1m") + TRACK + LIMIT.format("sc_http_req_rate(0)")
    algorithms = ("    balance roundrobin\n", "    balance leastconn\n")
    app, api = (edited((line, rule + line)) for line in algorithms)
    assert stopped(app) == {"low-client-limit"}
    assert stopped(api) == set()
    assert stopped(api.replace("use_backend api if is_api", "use_backend api")) == {
        "low-client-limit"
    }


def test_words_that_end_too_soon_are_left_to_the_balancer_s_own_check():
    for rule in ("{ src_conn_cur gt 2}", "{ src_conn_cur gt 2", "{ }", "{", ""):
        limit = f"    tcp-request connection reject if {rule}\n"
        assert "low-client-limit" not in stopped(limited(limit))


def test_a_cookie_value_stays_with_its_server():
    swapped = edited(
        ("app1 10.0.0.1:8080", "app1 10.0.0.9:8080"),
        ("app2 10.0.0.2:8080", "app2 10.0.0.1:8080"),
        ("10.0.0.9:8080", "10.0.0.2:8080"),
    )
    assert stopped(swapped) == {"cookie-of-another-server"}
    assert stopped(edited(("app1 10.0.0.1:8080", "app1 10.0.0.9:8080"))) == set()
    assert stopped(edited(("cookie a1", "cookie z1"))) == set()


def test_a_cookie_of_a_new_name_is_one_that_nobody_has():
    dealt = edited(("cookie a1", "cookie z"), ("cookie a2", "cookie a1"), ("cookie z", "cookie a2"))
    assert stopped(dealt) == {"cookie-of-another-server"}
    assert "cookie-of-another-server" not in stopped(dealt.replace("cookie SRV", "cookie SRV2"))


@pytest.mark.parametrize(
    ("old", "new", "stops"),
    [
        ("random(2)", "random(3)", False),
        ("hash src,ipmask(24)", "hash src,ipmask(16)", False),
        ("url_param(id)", "url_param(uid)", False),
        ("hdr(X-Key1)", "hdr(X-Key2)", False),
        ("url_param userid", "url_param usreid", True),
        ("hash req.cook(session)", "hash req.cook(sesion)", True),
        ("rdp-cookie(mstshash)", "rdp-cookie(mstshas)", True),
    ],
)
def test_only_a_name_of_some_length_can_be_mistyped(old, new, stops):
    live = edited(("    balance roundrobin\n", f"    balance {old}\n    hash-type consistent\n"))
    rules = stopped(live.replace(f"balance {old}", f"balance {new}"), live)
    assert ("hash-key-mistyped" in rules) is stops


def test_a_short_name_counts_as_mistyped_where_it_is_still_asked_for():
    asked = "    acl known url_param(id) -m found\n"
    live = edited(
        (ROUTES, asked + ROUTES), ("    balance roundrobin\n", "    balance url_param(id)\n")
    )
    assert "hash-key-mistyped" in stopped(live.replace("e url_param(id)", "e url_param(uid)"), live)


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


@pytest.mark.parametrize(
    "rule",
    [
        "    http-request set-header X-Forwarded-For 0.0.0.0 if { path_beg /anon }\n",
        "    http-request set-header Forwarded for=unknown\n",
        '    http-request set-header Forwarded "for=\\"_hidden\\";proto=https"\n',
    ],
)
def test_an_address_that_is_hidden_from_servers_on_purpose_does_not_stop(rule):
    assert stopped(edited((ROUTES, rule + ROUTES))) == set()


REDIRECT = "    http-request redirect {} {}\n"


@pytest.mark.parametrize(
    "rule",
    [
        REDIRECT.format("location https://www.example.com%[capture.req.uri]", "unless { ssl_fc }"),
        REDIRECT.format("prefix https://www.example.com", "code 301 if !{ ssl_fc }"),
        "    acl secure ssl_fc\n" + REDIRECT.format("scheme https", "if !secure"),
        REDIRECT.format("scheme https", "if { dst_port 80 } !{ path_beg /.well-known/ }"),
        REDIRECT.format("scheme https", "unless { ssl_fc } || { path_beg /.well-known/ }"),
    ],
)
def test_another_way_to_send_everybody_to_https_does_not_stop(rule):
    live = edited((ROUTES, HTTPS + ROUTES))
    assert "https-redirect-gone" not in stopped(edited((ROUTES, rule + ROUTES)), live)
    assert "https-redirect-gone" not in stopped(live, edited((ROUTES, rule + ROUTES)))


@pytest.mark.parametrize(
    "condition",
    ["if { path /x }", "if !{ ssl_fc } { path_beg /x }", "if { ssl_fc }", "unless !{ ssl_fc }"],
)
def test_a_redirect_of_some_requests_is_less_than_one_of_all(condition):
    live = edited((ROUTES, HTTPS + ROUTES))
    text = live.replace("unless { ssl_fc }", condition)
    assert "https-redirect-gone" in stopped(text, live)


def test_a_redirect_may_stand_in_every_pool_and_not_in_one_alone():
    live = edited((ROUTES, HTTPS + ROUTES))
    one = edited(("    balance roundrobin\n", "    balance roundrobin\n" + HTTPS))
    assert "https-redirect-gone" in stopped(one, live)
    both = edited(("    balance leastconn\n", "    balance leastconn\n" + HTTPS), text=one)
    assert "https-redirect-gone" not in stopped(both, live)


def test_a_redirect_of_one_old_page_to_https_may_go():
    live = edited(
        (ROUTES, REDIRECT.format("location https://a.example/b", "if { path /c }") + ROUTES)
    )
    assert stopped(SOUND, live) == set()
