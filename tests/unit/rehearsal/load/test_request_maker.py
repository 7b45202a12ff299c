"""The traffic is the seed's, whatever the timing, with the clients and bodies of a profile."""

import asyncio
import random
from collections import Counter

import pytest
from evenkeel_proof.corpus.in_container import ProductionMaker
from unit.rehearsal.load.test_load_client import HERE, free_port, kind

from evenkeel.rehearsal.load import load_client as traffic
from evenkeel.rehearsal.load import request_maker
from evenkeel.rehearsal.protocol.seeded import Draws

WEB = {"web": True, "largest_header_bytes": 8000, "largest_body_bytes": 5000}
OWN = {"hosts": ["shop.example", "www.shop.example"], "paths": [("/", True), ("/a", False)]}


def entry(share, method="GET", host="", path="/", **more):
    made = {"share": share, "host": host, "path": path, "grows": False, "method": method}
    return {**made, "learnt": True, **more}


MIX = [entry(0.6, host="shop.example"), entry(0.4, "POST", "api.example", "/v1/{number}")]


async def slow_server(sent, seed, port):
    """Keep what arrives and answer after a while that differs from run to run."""
    wait = random.Random(seed)

    async def serve(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                sent.append((writer.get_extra_info("peername")[0], head + body))
                await asyncio.sleep(wait.random() / 200)
                writer.write(
                    b"HTTP/1.1 200 OK\r\nX-Evenkeel-Server: s\r\nContent-Length: 0\r\n\r\n"
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return await asyncio.start_server(serve, HERE, port)


def sent_by_a_run(port, seed, timing, concurrency):
    async def scene():
        sent = []
        server = await slow_server(sent, timing, port)
        kinds = [
            kind(port, **WEB, **OWN, name="own"),
            kind(port, **WEB, name="mixed", mix=MIX, clients=256),
            kind(port, **WEB, name="each", key="source", may_keep=False),
        ]
        numbers = dict.fromkeys(("own", "mixed", "each"), 90)
        client = traffic.Client(seed)
        stream = request_maker.shuffled(kinds, numbers, seed)
        await client.run(stream, concurrency=concurrency, seconds=60)
        server.close()
        return sent

    return Counter(asyncio.run(scene()))


def test_the_same_seed_sends_the_same_from_the_same_clients_whatever_the_timing():
    port = free_port()
    first = sent_by_a_run(port, 7, timing=1, concurrency=4)
    assert sum(first.values()) == 270
    assert sent_by_a_run(port, 7, timing=2, concurrency=32) == first
    assert sent_by_a_run(port, 8, timing=1, concurrency=4) != first


def test_a_request_is_the_same_whatever_was_asked_before_it():
    maker, other = request_maker.Maker(3), request_maker.Maker(3)
    other.request(kind(80, name="another"))
    other.request(kind(80, **OWN))
    assert other.request(kind(80, **OWN)) == maker.request(kind(80, **OWN), number=1)


def test_after_a_restart_the_same_is_asked_again():
    maker = request_maker.Maker(3)
    first = [maker.request(kind(80)) for _ in range(3)]
    maker.restart()
    assert [maker.request(kind(80)) for _ in range(3)] == first


@pytest.mark.parametrize("clients", [256, 1000, 5000])
def test_as_many_clients_come_as_there_are_and_each_has_its_turn(clients):
    maker = request_maker.Maker(3)
    asked = Counter(maker.request(kind(80, clients=clients)).source for _ in range(2 * clients))
    assert len(asked) == clients
    assert set(asked.values()) == {2}


def test_where_the_address_decides_every_request_has_a_client_of_its_own():
    maker = request_maker.Maker(3)
    one = kind(80, clients=256, key="source")
    assert len({maker.request(one).source for _ in range(2000)}) > 1990


def test_a_client_of_an_ipv6_listener_has_such_an_address():
    assert request_maker.Maker(3).request(kind(80, address="fd00::1")).source.startswith("fd65:")


@pytest.mark.parametrize(("average", "wanted"), [(8.0, 8.0), (2.5, 2.5), (1.0, None), (1e6, 100)])
def test_kept_connections_carry_as_many_requests_as_the_profile_says(average, wanted):
    maker = request_maker.Maker(3)
    visits = list(maker.visits([kind(80, requests_per_connection=average)] * 4000))
    kept = [len(visit) for visit in visits if len(visit) > 1]
    assert sum(map(len, visits)) == 4000
    if wanted is None:
        assert kept == []
    else:
        assert sum(kept) == pytest.approx(2000, abs=100)
        assert sum(kept) / len(kept) == pytest.approx(wanted, rel=0.05)


def test_a_kept_connection_has_one_client_and_over_tls_one_host():
    maker = request_maker.Maker(3)
    visits = list(maker.visits([kind(443, **OWN, tls=True)] * 400))
    kept = [visit for visit in visits if len(visit) > 1]
    assert kept
    for visit in kept:
        assert len({request.source for _, request in visit}) == 1
        assert len({request.headers["Host"] for _, request in visit}) == 1


def test_a_class_that_may_not_keep_its_connection_never_does():
    visits = request_maker.Maker(3).visits([kind(80, may_keep=False)] * 100)
    assert {len(visit) for visit in visits} == {1}


def test_a_steady_load_ends_without_what_would_still_share_a_connection():
    maker = request_maker.Maker(3)
    given = list(maker.visits([kind(80)] * 10, flush=False))
    assert [len(visit) for visit in given] == [1] * 5


def test_methods_hosts_and_bodies_come_in_the_shares_of_the_mix():
    maker = request_maker.Maker(3)
    asked = [maker.request(kind(80, **WEB, mix=MIX)) for _ in range(1000)]
    found = Counter((one.method, one.headers["Host"]) for one in asked)
    assert found["GET", "shop.example"] == pytest.approx(600, abs=2)
    assert found["POST", "api.example"] == pytest.approx(400, abs=2)
    posts = [one for one in asked if one.method == "POST"]
    assert all(one.headers["Content-Length"] == str(len(one.body)) for one in posts)
    assert all(not one.body for one in asked if one.method == "GET")
    sizes = sorted(len(one.body) for one in posts)
    assert sizes[len(sizes) // 2] <= 1024 < sizes[-1] <= 5000
    assert all("{" not in one.path for one in asked)


def test_a_profile_without_bodies_has_posts_without_bodies():
    empty = kind(80, web=True, largest_header_bytes=8000, largest_body_bytes=0, mix=MIX[1:])
    request = request_maker.Maker(3).request(empty)
    assert (request.method, request.body) == ("POST", b"")


def test_heads_stay_far_below_the_largest():
    maker = request_maker.Maker(3)
    asked = [maker.request(kind(80, **WEB)) for _ in range(400)]
    # A name, a colon and a space, a value and the end of the line.
    sizes = sorted(
        len(one.path) + sum(len(name) + len(value) + 4 for name, value in one.headers.items())
        for one in asked
    )
    assert sizes[200] < 200 < 1000 < sizes[-1] < 2400


def test_a_single_question_asks_for_what_it_says_and_never_for_the_mix():
    request = request_maker.Maker(3).plain(kind(80, **WEB, mix=MIX[1:]))
    assert (request.method, request.path, request.headers["Host"]) == ("GET", "/", "shop.example")


def test_a_route_test_is_sent_with_the_method_that_it_says():
    request = request_maker.Maker(3).of_test(kind(80, method="POST"))
    assert (request.method, request.headers["Content-Length"]) == ("POST", "0")
    request = request_maker.Maker(3).of_test(kind(80, method="DELETE"))
    assert (request.method, "Content-Length" in request.headers) == ("DELETE", False)


def test_production_has_as_few_clients_and_keys_as_it_says():
    keyed = kind(80, key_header="X-Country", clients=256)
    maker = ProductionMaker(3, {"clients": 3, "keys": 2})
    asked = [maker.request(keyed) for _ in range(200)]
    assert len({one.source for one in asked}) == 3
    assert len({one.headers["X-Country"] for one in asked}) == 2


def test_draws_are_as_many_as_wanted_and_within_their_bounds():
    draws = Draws("a", 1)
    numbers = [draws.below(10) for _ in range(1000)]
    assert set(numbers) == set(range(10))
    again = Draws("a", 1)
    assert [again.below(10) for _ in range(1000)] == numbers
