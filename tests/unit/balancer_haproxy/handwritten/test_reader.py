"""A configuration by hand is read as far as a rehearsal needs it, and nothing is made up."""

import pytest

from evenkeel.balancer.dialect import load_dialect
from evenkeel.containers.names import ROOT
from evenkeel.intent import completed
from evenkeel.rehearsal.plan import world

DIALECT = load_dialect(ROOT / "roles" / "balancer_haproxy")
HEAD = """\
defaults
    mode http
    timeout connect 5s
"""


def read(text):
    return DIALECT.handwritten({"haproxy.cfg": (HEAD + text).encode()})


SHOP = """\
frontend www
    bind :80,10.0.0.9:8080
    bind [::]:443 ssl crt /etc/haproxy/certs/
    bind /run/haproxy/x.sock
    acl api hdr(host) -i api.example.com
    acl files path_beg /img /css
    use_backend api if api
    use_backend files if files !api || { src 10.0.0.0/8 }
    use_backend gone if api
    use_backend be-%[path] if api
    use_backend api if { src 10.0.0.0/8 }
    default_backend web
backend web
    option httpchk GET /up
    http-check expect status 204
    cookie SRV insert indirect
    default-server check inter 1s weight 20
    server a 10.1.0.1:80 cookie a
    server b [fd00::1]:80 cookie b weight 0
    server c 10.1.0.3:80 cookie c backup maxconn 7
    server d 10.1.0.4:80 disabled send-proxy-v2
backend api
    balance leastconn
    server x unix@/run/x.sock
    server y y.example:80
backend files
    balance hdr(X-User)
    hash-type consistent
    server f 10.2.0.1:80
"""


def test_listeners_are_where_clients_arrive():
    (www,) = read(SHOP)["listeners"]
    assert [(one["address"], one["port"], bool(one["tls"])) for one in www["binds"]] == [
        ("*", 80, False),
        ("10.0.0.9", 8080, False),
        ("::", 443, True),
    ]
    assert www["default_pool"] == "web"


def test_routes_are_those_that_a_request_of_ours_can_take():
    (www,) = read(SHOP)["listeners"]
    found = [(one["pool"], one["hosts"], one["path_prefixes"]) for one in www["routes"]]
    assert found == [("api", ["api.example.com"], []), ("files", [], ["/img", "/css"])]


def test_servers_have_what_default_server_gives_them_and_what_they_say_themselves():
    web = read(SHOP)["pools"][0]
    rows = [(one["name"], one["weight"], one["state"], one["backup"]) for one in web["servers"]]
    assert rows == [
        ("a", 20, "active", False),
        ("b", 1, "draining", False),
        ("c", 20, "active", True),
        ("d", 20, "inactive", False),
    ]
    assert web["check"]["path"] == "/up"
    assert web["check"]["expect_status"] == [204]
    assert web["stickiness"] == {"cookie": "SRV", "secure": False}


def test_a_server_that_nothing_can_stand_in_for_is_left_out():
    assert [one["name"] for one in read(SHOP)["pools"][1]["servers"]] == ["y"]


def test_a_ring_of_small_weights_is_judged_loosely_since_it_is_uneven_as_it_is():
    reading = completed(read(SHOP))
    assert reading["guardrails"]["pools"]["files"]["share_tolerance"] == 0.75


def test_what_is_read_makes_a_world():
    facts = world.build(completed(read(SHOP)))
    assert facts["by_hand"]
    assert sorted(facts["pools"]) == ["api", "files", "web"]
    assert facts["certificates"] == []


@pytest.mark.parametrize("text", ["", "frontend x\n", "backend y\n    server\n", "bogus 'quote\n"])
def test_what_holds_nothing_gives_nothing(text):
    reading = completed(read(text))
    assert (reading["listeners"], reading["pools"]) == ([], [])


def test_each_kind_of_file_that_is_named_is_found():
    text = """\
global
    crt-base /etc/ssl/own
frontend www
    bind :443 ssl crt /etc/haproxy/certs/ ca-file /etc/ssl/ca.pem
    bind :444 ssl crt site.pem crt /etc/ssl/more.pem
    errorfile 503 /etc/haproxy/errors/503.http
    acl bad src -f /etc/haproxy/lists/bad.lst
    use_backend %[req.hdr(host),map(/etc/haproxy/maps/hosts.map,web)]
    bind :445 ssl crt /usr/bin/python3
    bind :446 ssl crt /etc/ssl/../../usr/bin/python3
"""
    assert DIALECT.references({"haproxy.cfg": text.encode()}) == {
        "authorities": ["/etc/ssl/ca.pem"],
        "certificates": [
            "/etc/haproxy/certs/stand-in.pem",
            "/etc/ssl/more.pem",
            "/etc/ssl/own/site.pem",
        ],
        "hosts": [],
        "lists": ["/etc/haproxy/lists/bad.lst", "/etc/haproxy/maps/hosts.map"],
        "nameservers": [],
        "pages": ["/etc/haproxy/errors/503.http"],
        "revocations": [],
        "server_names": [],
    }


def test_what_the_certificates_of_servers_have_to_be_is_found():
    text = """\
backend api
    default-server ssl verify required ca-file /etc/ssl/own.pem crl-file /etc/ssl/own.crl
    server a 10.0.0.1:443 sni str(api.corp) check-sni check.corp
    server b 10.0.0.2:443 verifyhost b.corp sni req.hdr(host)
"""
    found = DIALECT.references({"haproxy.cfg": text.encode()})
    assert found["authorities"] == ["/etc/ssl/own.pem"]
    assert found["revocations"] == ["/etc/ssl/own.crl"]
    assert found["server_names"] == ["api.corp", "b.corp", "check.corp"]


@pytest.mark.parametrize(
    "line",
    [
        "use_backend %[req.hdr(host),lower,map(/etc/haproxy/maps/hosts.map,app)]",
        "use_backend app",
    ],
)
def test_a_route_for_everything_is_where_requests_go_by_default(line):
    text = f"""\
frontend www
    bind :80
    {line}
    default_backend rest
backend app
    server a 10.0.0.1:80
backend rest
    server b 10.0.0.2:80
"""
    assert read(text)["listeners"][0]["default_pool"] == "app"


def test_pages_of_their_own_section_and_names_that_have_to_be_resolved_are_found():
    text = """\
global
    log loghost.corp:514 local0
    log /dev/log local1
http-errors site
    errorfile 503 /etc/haproxy/errors/site.http
peers lbs
    peer lb1 lb1.corp:10000
    peer lb2 10.0.0.2:10000
resolvers dns
    nameserver one 10.0.0.53:53
    nameserver two udp@10.0.0.54:5353
backend api
    server a app.corp:80 addr check.corp
    server-template b 3 many.corp:80
    server c [fd00::1]:80
"""
    found = DIALECT.references({"haproxy.cfg": text.encode()})
    assert found["pages"] == ["/etc/haproxy/errors/site.http"]
    assert found["hosts"] == ["app.corp", "check.corp", "lb1.corp", "loghost.corp", "many.corp"]
    assert found["nameservers"] == ["10.0.0.53:53", "10.0.0.54:5353"]


def test_a_template_is_one_server_at_one_address_or_one_for_each_that_is_resolved():
    text = """\
backend plain
    server-template app 1-4 app.corp:80 weight 50
backend resolved
    server-template pod- 2-3 pods.corp:80 resolvers dns
"""
    plain, resolved = read(text)["pools"]
    assert [(one["name"], one["weight"]) for one in plain["servers"]] == [("app1", 200)]
    rows = [(one["name"], one["address"]) for one in resolved["servers"]]
    assert rows == [("pod-2", "pods.corp"), ("pod-3", "slot2.pods.corp")]


def test_a_route_by_a_variable_is_asked_for_as_what_the_variable_holds():
    text = """\
frontend www
    bind :80
    http-request set-var(txn.host) req.hdr(host),lower
    use_backend app if { var(txn.host) -m str app.corp.test }
    default_backend rest
backend app
    server a 10.0.0.1:80
backend rest
    server b 10.0.0.2:80
"""
    (route,) = read(text)["listeners"][0]["routes"]
    assert (route["pool"], route["hosts"]) == ("app", ["app.corp.test"])
