"""Each rule finds what it is there for, a harmless edit is left alone, and old sins are told."""

import pytest
from unit.balancer_haproxy.files import DIALECT, RULES, SOUND, edited, findings, stopped, told

CHECK = "    default-server check inter 2s fall 3\n"
APP1 = "app1 10.0.0.1:8080 cookie a1 maxconn 200 weight 100"
APP2 = "app2 10.0.0.2:8080 cookie a2 maxconn 200 weight 100"
APP3 = "app3 10.0.0.3:8080 cookie a3 maxconn 200 weight 100"
BALANCE = "    balance roundrobin\n"
ROUTES = "    use_backend api if is_api\n"

WRONG = [
    ("no-check", (" check maxconn 100", " maxconn 100")),
    ("no-check", ("api2 10.0.1.2:8080 check", "api2 10.0.1.2:8080")),
    ("httpchk-without-check", (CHECK, "")),
    ("connect-check-only", ("    option httpchk GET /up\n", "")),
    ("check-accepts-errors", ("expect status 200", "expect rstatus .*")),
    ("check-accepts-errors", ("expect status 200", "expect status 200-599")),
    ("check-accepts-errors", ("expect status 200", "expect rstatus ^\\d\\d\\d$")),
    ("check-accepts-errors", ("expect status 200", "expect ! rstatus ^4")),
    ("slow-check", ("inter 2s", "inter 1h")),
    ("slow-check", ("fall 3", "fall 1000")),
    ("slow-return", (CHECK, CHECK.replace("\n", " rise 1000\n"))),
    ("hasty-check", ("inter 2s fall 3", "inter 10ms fall 1")),
    ("hasty-check", ("inter 2s", "inter 2")),
    ("one-error-marks-down", (CHECK, CHECK.strip("\n") + " observe layer7 error-limit 1"
                              " on-error mark-down\n")),
    ("one-address-twice", ("10.0.0.3:8080", "10.0.0.2:8080")),
    ("one-address-twice", ("10.0.0.3:8080", "ipv4@10.0.0.2:8080")),
    ("low-weight-on-ring", (BALANCE, "    balance uri\n    hash-type consistent\n"),
     (" weight 100", "")),
    ("low-weight-on-ring", ("balance leastconn", "balance random")),
    ("tight-hash-bound", (BALANCE, "    balance uri\n    hash-type consistent\n"
                          "    hash-balance-factor 101\n")),
    ("first-without-maxconn", (BALANCE, "    balance first\n"), (" maxconn 200", "")),
    ("nothing-active", ("check maxconn 100", "check maxconn 100 disabled")),
    ("nothing-active", ("weight 100", "weight 0")),
    ("all-backup", ("check maxconn 100", "check maxconn 100 backup")),
    ("use-server-always", (APP1, APP1 + "\n    use-server app1 if TRUE")),
    ("cookie-value-twice", ("cookie a3", "cookie a2")),
    ("cookie-for-some", (" cookie a3", "")),
    ("long-stick-on-source", ("    option httpchk GET /up\n", "    option httpchk GET /up\n"
                              "    stick-table type ip size 1m expire 8h\n    stick on src\n")),
    ("long-slowstart", (CHECK, CHECK.strip("\n") + " slowstart 1h\n")),
    ("timeout-missing", ("    timeout server 30s\n", "")),
    ("timeout-missing", ("timeout server 30s", "timeout server 0")),
    ("timeout-too-short", ("timeout server 30s", "timeout server 30")),
    ("timeout-too-short", ("timeout connect 5s", "timeout connect 5")),
    ("timeout-too-long", ("timeout connect 5s", "timeout connect 5h")),
    ("timeout-leap", ("timeout server 30s", "timeout server 3s")),
    ("timeout-leap", ("timeout client 30s", "timeout client 30000s")),
    ("no-retries", ("retries 3", "retries 0")),
    ("no-redispatch", ("    option redispatch\n", "")),
    ("no-redispatch", (BALANCE, BALANCE + "    no option redispatch\n")),
    ("retries-repeat-orders", (BALANCE, BALANCE + "    retry-on all-retryable-errors\n")),
    ("sent-to-the-dead", (BALANCE, BALANCE + "    option persist\n")),
    ("no-log", ("    log global\n", "")),
    ("no-log", ("    log /dev/log local0\n", "")),
    ("tiny-server-maxconn", ("maxconn 200", "maxconn 1")),
    ("tiny-queue", ("maxconn 200", "maxconn 200 maxqueue 1")),
    ("tiny-maxconn", ("maxconn 20000", "maxconn 20")),
    ("tiny-maxconn", ("bind *:80\n", "bind *:80 maxconn 2\n")),
    ("maxconn-cut", ("maxconn 20000", "maxconn 2000")),
    ("maxconn-cut", ("maxconn 10000", "maxconn 100")),
    ("maxconn-cut", ("maxconn 200 ", "maxconn 20 ")),
    ("maxconn-over-descriptors", ("maxconn 20000", "maxconn 2000000")),
    ("maxconn-over-descriptors", ("maxconn 20000", "maxconn 20000\n    ulimit-n 4096")),
    ("small-buffers", ("nbthread 4", "nbthread 4\n    tune.bufsize 2048")),
    ("small-buffers", ("nbthread 4", "nbthread 4\n    tune.http.maxhdr 20")),
    ("low-rate-limit", (ROUTES, ROUTES + "    rate-limit sessions 1\n")),
    ("thread-leap", ("nbthread 4", "nbthread 64")),
    ("short-goodbye", ("nbthread 4", "nbthread 4\n    hard-stop-after 1s")),
    ("long-resolver-hold", ("hold valid 10s", "hold valid 20d")),
    ("address-never-known", ("10.0.1.1:8080", "api.example.com:8080 init-addr none")),
    ("pool-cut", (f"    server {APP1}\n    server {APP2}\n", "")),
    ("pool-cut", (f"    server {APP1}\n    server {APP2}\n    server {APP3}\n",
                  "    server-template app 1 app.example.com:8080 cookie a\n")),
    ("bind-twice", ("bind 127.0.0.1:8404", "bind 127.0.0.1:8404\n    bind 0.0.0.0:80")),
    ("answers-for-all", (ROUTES, ROUTES + "    monitor-uri /\n")),
    ("answers-for-all", (BALANCE, BALANCE + "    stats uri /\n")),
    ("word-in-pattern", ("path_beg /api", "path_beg /api or /v2")),
    ("word-in-pattern", ("if is_api", "if { path_beg /api or /v2 }")),
    ("route-never-reached", (ROUTES, "    use_backend app\n" + ROUTES)),
    ("route-never-reached", (ROUTES, "    use_backend app if is_api\n" + ROUTES)),
    ("no-way-on", ("    default_backend app\n", "")),
    ("map-without-pool", (ROUTES, "    use_backend %[req.hdr(host),map_dom(/etc/m.map,ap)]\n")),
    ("map-without-pool", (ROUTES, "    use_backend %[req.hdr(host),lower]\n"),
     ("    default_backend app\n", "")),
    ("clients-unknown", ("    option forwardfor\n", "")),
    ("clients-speak-otherwise", ("bind *:80\n", "bind *:80 accept-proxy\n")),
    ("clients-speak-otherwise", ("bind *:443 ssl crt /etc/haproxy/site.pem", "bind *:443")),
    ("clients-speak-otherwise", ("site.pem\n", "site.pem verify required ca-file /etc/ca.pem\n")),
    ("port-gone", ("bind *:80\n", "bind *:8080\n")),
    ("servers-spoken-to-otherwise", ("check maxconn 100", "check maxconn 100 send-proxy")),
    ("servers-spoken-to-otherwise", ("check maxconn 100", "check maxconn 100 ssl verify none")),
    ("checks-want-otherwise", ("expect status 200", "expect status 204")),
    ("checks-want-otherwise", ("expect status 200", "expect ! status 100-399")),
    ("everybody-refused", (ROUTES, "    http-request deny\n" + ROUTES)),
    ("redirect-loop", (ROUTES, "    http-request redirect scheme https code 301\n" + ROUTES)),
    ("scheme-told-wrongly", (ROUTES, "    http-request set-header X-Forwarded-Proto http\n")),
    ("request-replaced", (ROUTES, "    http-request set-path /\n" + ROUTES)),
    ("request-replaced", (ROUTES, "    http-request set-header Host internal\n" + ROUTES)),
    ("header-dropped", (ROUTES, "    http-request del-header Authorization\n" + ROUTES)),
    ("tls-too-old", ("site.pem", "site.pem ssl-max-ver TLSv1.0")),
    ("stickiness-lost", ("    cookie SRV insert indirect nocache\n", "")),
    ("agent-check", ("check maxconn 100", "check maxconn 100 agent-check agent-port 9")),
    ("reuse-always", (BALANCE, BALANCE + "    http-reuse always\n")),
    ("address-of-another-pool", ("10.0.1.2:8080", "10.0.0.2:8080")),
]  # fmt: skip

HARMLESS = {
    "another weight": [(APP2, APP2.replace("100", "80"))],
    "a server drains": [(APP2, APP2.replace("weight 100", "weight 0"))],
    "a server is disabled": [(APP2, APP2 + " disabled")],
    "a server more": [(APP3, APP3 + "\n    server app4 10.0.0.4:8080 cookie a4 maxconn 200")],
    "a server less": [(f"    server {APP3}\n", "")],
    "a server moves": [("10.0.0.3:8080", "10.0.9.3:8080")],
    "another port": [("10.0.0.3:8080", "10.0.0.3:8081")],
    "another listener's port on this machine": [("127.0.0.1:8404", "127.0.0.1:8405")],
    "leastconn": [(BALANCE, "    balance leastconn\n")],
    "a hash of the source": [(BALANCE, "    balance source\n    hash-type consistent\n")],
    "longer answers": [("timeout server 30s", "timeout server 120s")],
    "an hour for reports": [(BALANCE, BALANCE + "    timeout server 1h\n")],
    "shorter answers": [("timeout server 30s", "timeout server 10s")],
    "milliseconds without a unit": [("timeout connect 5s", "timeout connect 5000")],
    "a quicker check": [("inter 2s", "inter 500ms")],
    "a slower check": [("inter 2s fall 3", "inter 15s fall 3")],
    "another path": [("uri /health", "uri /healthz")],
    "more statuses": [("expect status 200", "expect status 200-399")],
    "the class of a status": [("expect status 200", "expect rstatus ^2\\d\\d$")],
    "another status to another question": [
        ("uri /health", "uri /ready"), ("expect status 200", "expect status 204"),
    ],
    "another status of servers elsewhere": [
        ("expect status 200", "expect status 204"),
        *((f"10.0.0.{n}:8080", f"10.0.8.{n}:8080") for n in (1, 2, 3)),
    ],
    "a range of statuses": [("expect status 200", "expect status 200-299")],
    "no error": [("expect status 200", "expect ! rstatus ^5")],
    "a limit more": [("maxconn 200 ", "maxconn 400 ")],
    "a limit less": [("maxconn 200 ", "maxconn 100 ")],
    "more for all": [("maxconn 20000", "maxconn 50000")],
    "more threads": [("nbthread 4", "nbthread 8")],
    "a slow start": [(CHECK, CHECK.strip("\n") + " slowstart 60s\n")],
    "a spare": [(APP3, APP3 + "\n    server spare 10.0.9.9:8080 backup cookie a9")],
    "a path more": [("path_beg /api", "path_beg /api /v2")],
    "a route more": [(ROUTES, ROUTES + "    use_backend api if { hdr(host) -i a.example.com }\n")],
    "two conditions": [("if is_api", "if is_api METH_GET or METH_POST")],
    "another default": [("default_backend app", "default_backend api")],
    "a port more": [("bind *:80\n", "bind *:80\n    bind *:8080\n")],
    "an address of its own": [("bind *:80\n", "bind *:80\n    bind 10.0.0.9:80\n")],
    "another certificate": [("site.pem", "new.pem")],
    "h2": [("site.pem", "site.pem alpn h2,http/1.1")],
    "https": [(ROUTES, "    http-request redirect scheme https unless { ssl_fc }\n" + ROUTES)],
    "a path below": [(ROUTES, "    http-request set-path /v1%[path]\n" + ROUTES)],
    "a header": [(ROUTES, "    http-response set-header X-Frame-Options DENY\n" + ROUTES)],
    "a rate limit": [(ROUTES, "    stick-table type ip size 1m expire 1h store http_req_rate(10s)\n"
                      "    http-request track-sc0 src\n"
                      "    http-request deny if { sc_http_req_rate(0) gt 100 }\n" + ROUTES)],
    "stick for minutes": [(BALANCE, BALANCE + "    stick-table type ip size 1m expire 10m\n"
                           "    stick on src\n")],
    "bigger buffers": [("nbthread 4", "nbthread 4\n    tune.bufsize 32768")],
    "a retry of connections": [(BALANCE, BALANCE + "    retry-on conn-failure\n")],
    "a listener goes": [("frontend metrics\n    bind 127.0.0.1:8404\n    stats uri /\n", "")],
    "a listener comes": [("frontend metrics", "frontend more\n    bind *:90\n"
                          "    default_backend app\n\nfrontend metrics")],
    "a pool comes": [("backend api\n", "backend more\n    server m1 10.3.0.1:80\n\nbackend api\n")],
    "an end of lines": [("mode http", "mode http\r")],
    "a comment": [("backend api\n", "# a comment with `or` and \"one quote\n\nbackend api\n")],
}  # fmt: skip


def test_nothing_is_found_in_a_sound_configuration():
    assert findings(SOUND, None) == []


@pytest.mark.parametrize(("rule", "edits"), [(one[0], one[1:]) for one in WRONG])
def test_a_change_that_brings_a_fault_is_stopped_by_its_rule(rule, edits):
    assert rule in stopped(edited(*edits))


@pytest.mark.parametrize(("rule", "edits"), [(one[0], one[1:]) for one in WRONG])
def test_what_is_live_already_stops_nothing(rule, edits):
    text = edited(*edits)
    assert stopped(text, text) == set()


@pytest.mark.parametrize("edits", HARMLESS.values(), ids=HARMLESS)
def test_an_everyday_edit_is_not_stopped(edits):
    assert stopped(edited(*edits)) == set()


@pytest.mark.parametrize(("rule", "edits"), [(one[0], one[1:]) for one in WRONG])
def test_an_everyday_edit_of_a_fleet_with_an_old_fault_is_not_stopped(rule, edits):
    base = edited(*edits)
    assert (
        stopped(base.replace("hold valid 10s", "hold valid 20s") + "\n# changed\n", base) == set()
    )


def test_a_hash_may_become_turns_and_not_a_plain_hash():
    ring = edited((BALANCE, "    balance uri\n    hash-type consistent\n"))
    for change, found in (("map-based", {"hash-no-longer-consistent"}), ("consistent", set())):
        assert stopped(ring.replace("hash-type consistent", f"hash-type {change}"), ring) == found
    assert stopped(SOUND, ring) == set()


def test_a_listener_that_goes_takes_its_port_from_clients():
    base = SOUND + "frontend more\n    bind *:90\n    default_backend app\n"
    assert stopped(SOUND, base) == {"port-gone"}


def test_a_reserve_of_a_database_does_not_become_a_second_primary():
    base = (
        SOUND + "backend db\n    mode tcp\n    server a 10.5.0.1:5432 check\n"
        "    server b 10.5.0.2:5432 check backup\n"
    )
    assert stopped(base.replace(" check backup", " check"), base) == {"reserve-promoted"}
    swapped = base.replace("5432 check\n", "5432 check B\n").replace(" backup", "")
    assert stopped(swapped.replace(" B\n", " backup\n"), base) == set()


def test_servers_that_were_verified_stay_so():
    found = "servers-no-longer-verified"
    verified = edited(("check maxconn 100", "check ssl verify required ca-file /etc/ssl/ca.pem"))
    silent = verified.replace(" verify required", "")
    unverified = verified.replace("verify required ca-file /etc/ssl/ca.pem", "verify none")
    for base in (verified, silent):
        assert stopped(unverified, base) == {found}
        assert found in stopped(SOUND.replace("10.0.1.1:8080", "10.0.1.1:80"), base)
    for_all = ("maxconn 20000", "maxconn 20000\n    ssl-server-verify none")
    assert stopped(edited(for_all, text=silent), silent) == {found}
    assert stopped(edited(for_all, text=verified), verified) == set()
    assert stopped(silent, verified) == stopped(verified, unverified) == set()


def test_a_cookie_over_tls_alone_needs_a_listener_with_tls():
    plain = edited(("    bind *:443 ssl crt /etc/haproxy/site.pem\n", ""))
    secure = ("insert indirect", "insert secure indirect")
    assert stopped(edited(secure, text=plain), plain) == {"cookie-not-returned"}
    assert stopped(edited(secure)) == set()


def test_every_rule_has_a_case_that_it_stops_or_tells():
    shown = {one[0] for one in WRONG} | set().union(
        *(told(edited(*edits)) for edits in HARMLESS.values()),
        told(edited((CHECK, CHECK + "    http-reuse always\n"))),
        told(edited((APP1, APP1 + " agent-check agent-port 9 minconn 10"))),
        told(edited((BALANCE, "    balance hdr(X-Tenant)\n"))),
        told(edited(("insert indirect nocache", "insert"))),
        told(edited(("check maxconn 100", "maxconn 100 check")), None),
    )
    one_server = "backend one\n    option httpchk\n    server o 10.4.0.1:80{}\n"
    shown |= {"hash-no-longer-consistent", "reserve-promoted", "cookie-not-returned"}  # above
    shown |= {"servers-no-longer-verified"}  # above
    shown |= {"looked-up-pool-gone"}  # test_renames.py
    shown |= {"low-client-limit", "cookie-of-another-server"}  # test_clients.py
    shown |= {"hash-key-mistyped", "server-name-rerouted", "https-redirect-gone"}
    shown |= {"client-address-made-up"}
    shown |= {"disguised-line"}  # test_disguises.py
    shown |= stopped(SOUND + one_server.format(""), SOUND + one_server.format(" check"))
    assert {one["rule"] for one in DIALECT.catalogue()} - shown == set()


def test_a_protection_that_never_was_is_told_and_one_that_is_lost_stops():
    new_pool = (
        SOUND + "backend new\n    server n1 10.2.0.1:80 check\n    server n2 10.2.0.2:80 check\n"
    )
    assert stopped(new_pool) == set()
    assert "connect-check-only" in told(new_pool)
    assert "connect-check-only" in stopped(
        SOUND + new_pool[len(SOUND) :],
        SOUND + new_pool[len(SOUND) :].replace("backend new", "backend new\n    option httpchk"),
    )


def test_a_server_more_in_a_pool_without_checks_is_no_new_fault():
    base = edited((" check maxconn 100", " maxconn 100"))
    text = base + "    server api4 10.0.1.4:8080\n"
    assert stopped(text, base) == set()


def test_what_every_server_of_a_pool_lacks_is_one_finding():
    found = [
        one
        for one in findings(edited((" check maxconn 100", " maxconn 100")))
        if one["rule"] == "no-check"
    ]
    assert [one["subject"] for one in found] == ["pool api"]
    assert found[0]["got"].startswith("every server")


def test_a_finding_names_its_line_its_reason_and_the_next_step():
    text = edited(("api2 10.0.1.2:8080 check", "api2 10.0.1.2:8080"))
    found = next(one for one in findings(text) if one["rule"] == "no-check")
    assert text.splitlines()[found["line"] - 1].strip() == found["text"]
    assert (found["file"], found["subject"]) == ("haproxy.cfg", "pool api, server api2")
    assert found["reason"] and found["next_step"] and found["title"]


def test_a_map_within_the_bundle_is_looked_into():
    text = edited((ROUTES, "    use_backend %[req.hdr(host),map(/etc/haproxy/hosts.map,app)]\n"))
    base = {"haproxy.cfg": SOUND.encode()}
    for line, stops in (("a.example.com api", False), ("a.example.com apo", True)):
        files = {"haproxy.cfg": text.encode(), "hosts.map": line.encode()}
        rules = {one["rule"] for one in DIALECT.rules(files, base) if one["severity"] == "stop"}
        assert ("map-without-pool" in rules) is stops


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\xff",
        "global",
        "frontend",
        "backend\n",
        "server a",
        "bind",
        "backend b\n server",
        "backend b\n server a :\n stick on src\n stick on\n",
        "defaults from\nfrontend f from\n bind",
        "backend b\n server-template a 1-x h:1\n http-check expect\n balance\n cookie\n hash-type",
        "frontend f\n use_backend %[\n use_backend\n acl\n acl a\n bind ,\n timeout\n timeout a",
        "global\n maxconn\n nbthread x\n tune.bufsize\n hard-stop-after\nresolvers\n hold valid",
    ],
)
def test_a_file_that_is_none_is_no_trouble(text):
    for base in (None, SOUND, text):
        findings(text, base)
    findings(SOUND, text)


def test_lines_that_send_clients_elsewhere_make_shares_unknowable():
    text = edited(
        (ROUTES, ROUTES),
        (
            "    option httpchk GET /up\n",
            "    option httpchk GET /up\n    stick-table type ip size 1m expire 10m\n"
            "    stick on src\n",
        ),
    )
    found = DIALECT.spread_overrides({"haproxy.cfg": text.encode()})
    assert set(found) == {"app", "api"}
    assert "cookie SRV" in found["app"] and "stick on src" in found["api"]


@pytest.mark.parametrize("error", [ValueError("tuple.index(x): x not in tuple"), IndexError("at")])
def test_a_rule_that_cannot_read_the_words_is_told_and_hides_no_other(monkeypatch, error):
    def cannot(_):
        raise error

    monkeypatch.setitem(RULES, "bind-twice", RULES["bind-twice"]._replace(find=cannot))
    text = edited((" check maxconn 100", " maxconn 100"))
    assert "no-check" in stopped(text)
    said = [one for one in findings(text) if one["rule"] == "bind-twice"]
    assert [one["severity"] for one in said] == ["tell"]
    assert str(error) in said[0]["got"] and "could not be applied" in said[0]["title"]


def test_a_fault_of_a_rule_itself_is_not_hidden(monkeypatch):
    broken = RULES["bind-twice"]._replace(find=lambda now: now.no_such_thing)
    monkeypatch.setitem(RULES, "bind-twice", broken)
    with pytest.raises(AttributeError):
        findings(SOUND)
