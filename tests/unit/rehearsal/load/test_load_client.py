"""The stub servers and the load client, face to face on loopback addresses."""

import asyncio
import json
import socket

import pytest

from evenkeel.rehearsal.load import load_client as traffic
from evenkeel.rehearsal.load import request_maker
from evenkeel.rehearsal.stubs.control import StubControl, main, obey
from evenkeel.rehearsal.stubs.server import Stubs

HERE = "127.77.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return probe.getsockname()[1]


def kind(port, **more):
    return {
        "name": "c",
        "route": "default",
        "pool": "web",
        "listener": "www",
        "address": HERE,
        "port": port,
        "tls": False,
        "accept_proxy": False,
        "hosts": ["shop.example"],
        "paths": [("/", True)],
        "headers": {},
        "key": None,
        "key_header": None,
        "key_cookie": None,
        "may_keep": True,
        "web": False,
        "h2": False,
        "mix": [],
        "clients": 0,
        "requests_per_connection": 8.0,
        "largest_header_bytes": 8000,
        "largest_body_bytes": 262144,
        "requests": 0,
        "requests_before": 0,
        "excused": False,
        **more,
    }


async def stubs_at(*ports):
    stubs = Stubs()
    assert all([await stubs.serve(HERE, port) for port in ports])
    return stubs


def test_every_request_is_counted_for_the_endpoint_that_answered():
    async def scene():
        port = free_port()
        await stubs_at(port)
        client = traffic.Client(1)
        await client.run([kind(port)] * 100, concurrency=8, seconds=20)
        return port, client.take()["c"]

    port, tally = asyncio.run(scene())
    assert (tally["sent"], tally["answered"], tally["failed"]) == (100, 100, 0)
    assert tally["servers"] == {f"{HERE}:{port}": 100}


def test_requests_come_from_many_addresses():
    maker = request_maker.Maker(7)
    sources = {maker.request(kind(80)).source for _ in range(600)}
    assert len(sources) > 256
    assert all(source.startswith("127.") for source in sources)


def test_a_refused_connection_is_a_failed_request_and_a_hopeless_class_is_given_up():
    async def scene():
        client = traffic.Client(1)
        await client.run([kind(free_port())] * 1000, concurrency=4, seconds=20)
        return client.take()["c"]

    tally = asyncio.run(scene())
    assert tally["failed"] == tally["sent"] < 1000
    assert set(tally["errors"]) == {"connection refused"}


def test_a_kept_connection_that_closes_before_an_answer_is_tried_again_on_a_new_one():
    """What every client does when a reloading balancer closes an idle connection."""

    async def scene():
        port, dropped = free_port(), []

        async def one_answer_then_close(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nX-Evenkeel-Server: s\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            if not dropped:
                dropped.append(await reader.readuntil(b"\r\n\r\n"))
            writer.close()

        server = await asyncio.start_server(one_answer_then_close, HERE, port)
        client, kept = traffic.Client(1), traffic.Kept()
        for _ in range(2):
            await client.one(kind(port), client.maker.request(kind(port), source="127.5.6.7"), kept)
        kept.close()
        server.close()
        return client.take()["c"]

    tally = asyncio.run(scene())
    assert (tally["answered"], tally["failed"], tally["again"]) == (2, 0, 1)


def test_a_new_connection_that_closes_without_an_answer_is_a_failed_request():
    async def scene():
        port = free_port()

        async def close(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(close, HERE, port)
        client = traffic.Client(1)
        await client.one(kind(port), client.maker.request(kind(port)))
        server.close()
        return client.take()["c"]

    tally = asyncio.run(scene())
    assert tally["errors"] == {"connection closed without an answer": 1}


@pytest.mark.parametrize(("status", "counted"), [(503, "failed"), (301, "diverted")])
def test_the_balancer_s_own_answers_are_no_share(status, counted):
    tally = traffic.Tally()
    tally.note(traffic.Answer(status, "", [], b""), 0.01)
    shown = tally.as_record()
    assert (shown[counted], shown["answered"], shown["servers"]) == (1, 0, {})


def test_requests_that_are_held_back_are_all_there_at_once():
    async def scene():
        port = free_port()
        stubs = await stubs_at(port)
        await traffic.Client(1).peak(kind(port), 32)
        return stubs.peak.most

    assert asyncio.run(scene()) == 32


def test_a_stub_and_a_balancer_on_every_address_share_a_port():
    async def scene():
        port = free_port()
        balancer = socket.socket()
        balancer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        balancer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        balancer.bind(("", port))
        balancer.listen()
        stubs = await stubs_at(port)
        client = traffic.Client(1)
        await client.run([kind(port)] * 5, concurrency=1, seconds=20)
        balancer.close()
        assert stubs.listening
        return client.take()["c"]["answered"]

    assert asyncio.run(scene()) == 5


def test_an_echo_shows_the_headers_and_the_client_that_the_proxy_protocol_names():
    async def scene():
        port = free_port()
        await stubs_at(port)
        reader, writer = await asyncio.open_connection(HERE, port)
        writer.write(b"PROXY TCP4 192.0.2.7 127.77.0.1 4000 80\r\n")
        writer.write(b"GET / HTTP/1.1\r\nX-Evenkeel: 1\r\nX-Evenkeel-Echo: 1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        writer.close()
        return body

    body = asyncio.run(scene())
    assert body["proxy"] == "v1 192.0.2.7"
    assert body["headers"]["x-evenkeel"] == "1"


def test_a_health_check_gets_the_status_that_the_intent_expects_and_is_noticed():
    async def scene():
        port = free_port()
        stubs = await stubs_at(port)
        here = f"{HERE}:{port}"
        await obey(stubs, {"order": "serve", "stubs": [], "health": {here: {"/up": 204}}})
        reader, writer = await asyncio.open_connection(HERE, port)
        writer.write(b"GET /up HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer, stubs.checked == {here}

    answer, noticed = asyncio.run(scene())
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert noticed


def test_stubs_are_steered_over_their_socket(tmp_path):
    async def scene():
        control, port = str(tmp_path / "stub.sock"), free_port()
        serving = asyncio.create_task(main(control))
        while not (tmp_path / "stub.sock").exists():
            await asyncio.sleep(0.01)

        def steer():
            stubs = StubControl(control)
            return (
                stubs.serve([(HERE, port), ("192.0.2.1", 80)]),
                stubs.release([port]),
                stubs.report(),
            )

        answers = await asyncio.to_thread(steer)
        serving.cancel()
        return port, answers

    port, (served, released, report) = asyncio.run(scene())
    assert served == {"missing": ["192.0.2.1:80"], "added": 1}
    assert released == [[HERE, port]]
    assert report == {
        "checked": [],
        "peak": 0,
        "requests": {},
        "bodies": 0,
        "largest_body_bytes": 0,
    }


def test_servers_tell_what_they_saw_by_method_and_host_and_body():
    async def scene():
        port = free_port()
        stubs = await stubs_at(port)
        web = kind(port, web=True, mix=[])
        post = {**web["headers"], "share": 1, "host": "", "path": "/", "grows": False}
        post |= {"method": "POST", "learnt": True}
        await traffic.Client(1).run(
            [web] * 5 + [{**web, "mix": [post]}] * 3, concurrency=2, seconds=9
        )
        return await obey(stubs, {"order": "report"})

    report = asyncio.run(scene())
    assert report["requests"] == {"GET shop.example": 5, "POST shop.example": 3}
    assert 0 < report["largest_body_bytes"] <= 8192
    assert report["bodies"] == 3


def test_the_same_seed_asks_the_same():
    def asked(seed):
        maker = request_maker.Maker(seed)
        return [maker.request(kind(80, key_header="X-User")) for _ in range(5)]

    assert asked(3) == asked(3) != asked(4)


def test_keys_differ_from_request_to_request_but_never_what_the_route_looks_at():
    maker = request_maker.Maker(1)
    wanted = kind(80, headers={"X-Beta": "yes"}, key_header="x-beta", key_cookie="session")
    requests = [maker.request(wanted) for _ in range(20)]
    assert all(one.headers["X-Beta"] == "yes" for one in requests)
    assert all(one.headers["Host"] == "shop.example" for one in requests)
    assert all(not {"x-beta", "host"} & set(one.headers) for one in requests)
    assert len({one.headers["Cookie"] for one in requests}) == 20


def test_a_returning_client_sends_its_cookie_beside_the_key():
    maker = request_maker.Maker(1)
    headers = maker.request(kind(80, key_cookie="session"), {"Cookie": "SRV=web1"}).headers
    assert headers["Cookie"].endswith("; SRV=web1")
    assert [name for name in headers if name.lower() == "cookie"] == ["Cookie"]
