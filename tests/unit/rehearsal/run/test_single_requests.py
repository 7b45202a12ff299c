"""Single questions, before and after: who answers, what servers are told, what gets through."""

import asyncio
import json

import pytest
from unit.rehearsal.load.test_load_client import HERE, free_port, kind, stubs_at
from unit.rehearsal.measured import SHIPPED, world_of

from evenkeel.rehearsal.checks import answers
from evenkeel.rehearsal.load import load_client as client
from evenkeel.rehearsal.plan import requests
from evenkeel.rehearsal.run import single_requests

ROUTE = {"name": "api", "pool": "api", "path_prefixes": ["/api"]}
LISTENER = {
    "name": "www",
    "binds": [{"address": "*", "port": 80}],
    "routes": [ROUTE],
    "default_pool": "web",
}
TESTS = [{"name": "front", "listener": "www", "host": "shop.example", "expect_pool": "web"}]


def world(tests=TESTS, **more):
    server = [{"name": "api1", "address": "10.20.1.1", "port": 80}]
    pools = [{"name": "web", "servers": server}, {"name": "api", "servers": server}]
    made = world_of(listeners=[LISTENER], pools=pools, route_tests=tests)
    words = {"paths": ["/api", "/old"], "hosts": ["shop.example"], "headers": []}
    return {**made, "words": words, "base_words": words, **more}


def asked(path="/old", host="shop.example"):
    return {"listener": "www", "host": host, "path": path, "headers": {}}


def answer(pool="web", **more):
    server = f"10.20.{ord(pool[0])}.1:80" if pool else ""
    told = {"line": "GET /old HTTP/1.1", "proxy": "", "headers": {"host": "shop.example"}}
    known = {"asked": asked(), "status": 200, "server": server, "pools": [pool] if pool else []}
    return {**known, **(told if pool else {}), **more}


def one(was, now, **more):
    asked = [
        {"routes": {"q": one}, "pools": {name: [one["server"]] for name in one["pools"]}}
        for one in (was, now)
    ]
    return answers.routes(world(**more), *asked)


def test_the_words_of_a_file_are_its_paths_and_hosts_without_its_own_files():
    text = "acl a path_beg -i /api /img # /no\n use_backend b if { hdr(host) -i shop.example }\n"
    found = requests.words_of(text + "chroot /var/lib/haproxy\nbind *:443 crt /etc/x.pem\n")
    assert found == {"paths": ["/api", "/img"], "hosts": ["shop.example"]}


def test_a_route_that_the_change_takes_away_is_asked_for_too():
    names = {question["name"] for question in requests.questions(world())}
    assert {"port 80 rehearsal.invalid/old", "port 80 shop.example/"} <= names


def test_each_listener_is_spoken_to_in_four_ways():
    ways = {(kind["tls"], kind["accept_proxy"]) for kind in requests.manners(world())}
    assert len(ways) == 4


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (answer("api"), "pool web before, pool api now"),
        (answer("", status=503), "pool web before, status 503 of the balancer now"),
        (answer("", status=200), "pool web before, status 200 of the balancer now"),
        (answer("", status=None), "pool web before, no answer now"),
        (answer("", status=301), "pool web before, status 301 of the balancer now"),
    ],
)
def test_what_a_pool_answered_before_and_not_now_fails(now, reason):
    found = one(answer(), now)
    assert (found["verdict"], found["reasons"]) == ("fail", [f"q: {reason}"])


@pytest.mark.parametrize("status", [401, 403])
def test_what_the_balancer_kept_closed_and_now_lets_through_fails(status):
    closed = answer("", status=status)
    found = one(closed, answer("web"))
    assert f"status {status} of the balancer before, pool web now" in found["reasons"][0]
    for now in (closed, answer("", status=404), answer("", status=301), answer("web", status=403)):
        assert one(closed, now)["verdict"] == "pass"
    wanted = [{**TESTS[0], "path": "/old"}]
    assert one(closed, answer("web"), tests=wanted)["verdict"] == "pass"


def test_a_pool_of_another_name_with_the_same_server_is_the_same():
    assert one(answer(), {**answer(), "pools": ["shop"]})["verdict"] == "pass"


def test_a_pool_with_other_servers_and_its_name_is_the_same():
    assert one(answer(), answer(server="10.99.0.1:80"))["verdict"] == "pass"


def test_a_route_test_for_it_says_that_it_is_wanted():
    tests = [{**TESTS[0], "path": "/old", "expect_pool": "api"}]
    assert one(answer(), answer("api"), tests=tests)["verdict"] == "pass"


def test_a_pool_of_another_name_with_new_servers_and_an_old_one_is_the_same():
    was = {"routes": {"q": answer("web")}, "pools": {"web": ["10.20.0.1:80"]}}
    both = ["10.20.0.1:80", "10.20.97.1:80"]
    now = {"routes": {"q": answer("api")}, "pools": {"api": both}}
    assert answers.routes(world(), was, now)["verdict"] == "pass"


def test_what_no_route_is_meant_for_is_wanted_as_any_route_test_says():
    tests = [{"name": "s", "listener": "www", "host": "shop.example", "expect_status": 301}]
    new = answer("", status=301, asked=asked("/", "rehearsal.invalid"))
    was = answer(asked=new["asked"])
    assert one(was, new, tests=tests)["verdict"] == "pass"
    assert one(was, new)["verdict"] == "fail"


def test_what_only_the_change_speaks_of_may_go_elsewhere():
    new = asked("/fonts")
    assert one(answer(asked=new), answer("api", asked=new))["verdict"] == "pass"


def test_a_header_that_arrived_before_and_not_now_fails():
    was = answer(headers={"x-forwarded-for": "the client", "x-id": "1"})
    lost = answers.received({"q": was}, {"q": answer(headers={"x-id": "2"})})
    assert "the header x-forwarded-for no longer arrives" in lost["reasons"][0]
    assert len(lost["reasons"]) == 1


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({"headers": {"host": "internal"}}, "the header host was 'shop.example'"),
        ({"line": "GET / HTTP/1.1"}, "the request was 'GET /old HTTP/1.1'"),
        ({"proxy": "v2"}, "the PROXY header was none and is v2"),
    ],
)
def test_a_server_that_is_told_something_else_fails(now, reason):
    found = answers.received({"q": answer()}, {"q": answer(**now)})
    assert found["verdict"] == "fail"
    assert found["reasons"][0].startswith(reason)


def test_clients_that_were_understood_before_and_are_not_now_fail():
    gone = answer("", status=None)
    assert answers.understood({"q": answer()}, {"q": gone})["verdict"] == "fail"
    assert answers.understood({"q": gone}, {"q": gone})["verdict"] == "pass"


@pytest.mark.parametrize(
    ("was", "now", "verdict"), [("2", "1.1", "fail"), ("2", "2", "pass"), ("1.1", "2", "pass")]
)
def test_clients_of_http_2_who_are_answered_in_http_1_now_fail(was, now, verdict):
    found = answers.understood({"q": answer(version=was)}, {"q": answer(version=now)})
    assert found["verdict"] == verdict
    assert found["reasons"] == (["q: HTTP/2 was spoken before, now HTTP/1.1"] * (verdict == "fail"))


def test_http_2_is_asked_for_where_a_class_may_be_asked_in_it():
    made = world()
    made["classes"][0]["h2"] = True
    asked = {question["name"]: question for question in requests.manners(made)}
    assert asked["port 80 spoken to in TLS with HTTP/2"]["offers_h2"]
    assert not asked["port 80 spoken to in TLS"]["offers_h2"]
    made["classes"][0]["h2"] = False
    assert not any(question["offers_h2"] for question in requests.manners(made))


@pytest.mark.parametrize(
    ("before", "verdict", "told"),
    [({"head": 200}, "fail", ", and passed before"), ({"head": 400}, "pass", "as before: ")],
)
def test_a_large_head_that_passed_before_has_to_pass(before, verdict, told):
    found = answers.limits({"port 80": before}, {"port 80": {"head": 400}}, world())
    assert found["verdict"] == verdict
    assert told in found["reasons"][0]


NO_FORMS = {**TESTS[0], "name": "no forms", "method": "POST", "expect_pool": None}


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (world([{**NO_FORMS, "host": None, "path": "/api", "expect_status": 405}]), "pass"),
        (world([{**NO_FORMS, "host": None, "path": "/api", "expect_status": 403}]), "fail"),
        (world([{**NO_FORMS, "host": None, "path": "/old", "expect_status": 405}]), "fail"),
        (world(waived_requests={"POST": "read only"}), "pass"),
        (world(waived_requests={"GET": "read only"}), "fail"),
    ],
)
def test_an_upload_that_is_refused_on_purpose_is_told(made, verdict):
    passed, refused = ({"port 80": {"head": 200, "body": status}} for status in (200, 405))
    found = answers.limits(passed, refused, made)
    assert (found["verdict"], len(found["reasons"])) == (verdict, 1)


def test_a_test_of_another_method_says_nothing_about_pages():
    now = answer("", status=405)
    tests = [{**NO_FORMS, "path": "/old", "expect_status": 405}]
    assert one(answer(), now, tests=tests)["verdict"] == "fail"
    assert one(answer(), now, tests=[{**tests[0], "method": "GET"}])["verdict"] == "pass"


def test_a_waiver_of_a_page_is_told_with_its_reason():
    found = one(answer(), answer("", status=403), waived_requests={"GET shop.example/old": "gone"})
    assert found["verdict"] == "pass"
    assert found["reasons"][0].endswith("; because: gone")


def test_a_route_without_a_test_is_told_and_fails_where_the_guardrail_says_so():
    found = answers.coverage(world())
    assert (found["verdict"], found["numbers"]) == ("pass", {"routes": 2, "tested": 1})
    assert found["reasons"] == ["route www:80/api has no route test"]
    assert answers.coverage(world(untested_routes="fail"))["verdict"] == "fail"


def test_a_route_test_counts_for_the_first_route_that_takes_its_request():
    tests = [*TESTS, {**TESTS[0], "name": "deep", "path": "/api/orders", "expect_pool": "api"}]
    assert requests.untested(world(tests)) == {
        "www:80/api": ["deep"],
        "www:80/default": ["front"],
    }


def test_nothing_before_is_compared_with_nothing():
    now = {"routes": {"q": answer()}, "manners": {}, "limits": {}, "pools": {}}
    after = {"questions": now}
    found = list(answers.question_checks(world(), None, after))
    assert {check["verdict"] for check in found} == {"pass"}


def test_what_a_server_was_told_is_kept_so_that_it_can_be_compared():
    class Driver:
        def observe(self):
            server = {"address": HERE, "port": port, "status": "active"}
            return {"pools": {"web": {"servers": {"web1": server}}}}

    port = free_port()

    async def scene():
        await stubs_at(port)
        made = {**SHIPPED, "classes": [kind(port)], "route_tests": []}
        return await single_requests.ask(client.Client(1), Driver(), made)

    found = json.loads(json.dumps(asyncio.run(scene())))
    (told,) = found["routes"].values()
    assert (told["pools"], told["headers"]["authorization"]) == (["web"], "Bearer rehearsal")
    assert found["limits"][f"port {port}"] == {"head": 200, "body": 200}
    plain = found["manners"][f"port {port} spoken to in plain"]
    assert plain["status"] == 200
