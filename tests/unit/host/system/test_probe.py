"""A host that nobody uses sends itself requests: bounded, to its own listener, counted apart."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from unit.host.fakes import SECOND, Host

from evenkeel.host.system import probe as probes
from evenkeel.host.system.probe import open_probe, source_of

PROBE = {"listener": "shop", "path": "/ping", "host": "shop.example", "requests_per_second": 4}
POLICY = {"minimum_requests": 100, "pools": {"web": {"required": True}}}
JUDGE = ("observe", "--change", "c1", "--seconds", "60", "--judge", "--until-decided")


@contextlib.contextmanager
def listener(answer: bytes) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """Answer every connection with these bytes; give the port, and who asked for what."""
    asked: list[tuple[str, bytes]] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append((self.client_address[0], self.request.recv(4096)))
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


def bound(port: int, **more: Any) -> dict[str, list[dict[str, Any]]]:
    one = {"address": "*", "port": port, "tls": False, "http": True, "accept_proxy": False}
    return {"shop": [one | more]}


def watched(here: Host, port: int, seconds: int = 60, **more: Any) -> tuple[int, dict[str, Any]]:
    here.driver.listeners = lambda: bound(port)  # type: ignore[method-assign]
    policy = json.dumps(POLICY | {"probe": PROBE | more}).encode()
    words = [*JUDGE]
    words[4] = str(seconds)
    return here.program(*words, stdin=policy)


def let_probes_be_counted(host: Host, asked: list[Any]) -> None:
    """The balancer counts what arrived, in turns."""
    real, seen = host.clock.sleep, [0]

    def sleep(seconds: float) -> None:
        for number in range(seen[0], len(asked)):
            host.driver.count({"abc"[number % 3]: 1})
        seen[0] = len(asked)
        real(seconds)

    host.clock.sleep = sleep  # type: ignore[method-assign]


def test_without_traffic_a_probed_host_passes_and_the_record_says_what_was_probed(
    host: Host,
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    with listener(b"HTTP/1.1 200 OK\r\n\r\n") as (port, asked):
        let_probes_be_counted(host, asked)
        code, answer = watched(host, port, seconds=300, requests_per_second=50)
    assert (code, answer["verdict"]) == (0, "pass")
    assert answer["probe"]["sent"] == len(asked) >= answer["requests"] >= 100
    assert any("probes of the host itself" in note for note in answer["notes"])
    assert asked[0][1].startswith(b"GET /ping HTTP/1.1\r\nHost: shop.example\r\n")
    assert len({address for address, _ in asked}) == len(asked)


def test_probes_are_counted_through_the_calls_of_one_watch(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    with listener(b"HTTP/1.1 200 OK\r\n\r\n") as (port, asked):
        watched(host, port, seconds=2)
        _, answer = watched(host, port, seconds=2)
    assert answer["probe"]["sent"] == len(asked) == 16


def test_answers_of_500_and_none_at_all_are_failed_probes(host: Host) -> None:
    host.deploy("c1", SECOND, confirm=False)
    with listener(b"HTTP/1.1 503 No\r\n\r\n") as (port, _):
        assert watched(host, port, seconds=1)[1]["probe"]["failed"] == 4
    _, answer = watched(host, port, seconds=1)
    assert answer["probe"] == {
        **{"listener": "shop", "host": "shop.example", "path": "/ping"},
        "sent": 8,
        "failed": 8,
    }


def test_a_control_host_sends_nothing(host: Host) -> None:
    with listener(b"HTTP/1.1 200 OK\r\n\r\n") as (port, asked):
        host.driver.listeners = lambda: bound(port)  # type: ignore[method-assign]
        policy = json.dumps(POLICY | {"probe": PROBE}).encode()
        _, answer = host.program("observe", "--change", "c2", "--seconds", "2", stdin=policy)
    assert "probe" not in answer and not asked


def test_no_more_probes_than_the_bound_are_sent(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "MOST_REQUESTS", 6)
    host.deploy("c1", SECOND, confirm=False)
    with listener(b"HTTP/1.1 200 OK\r\n\r\n") as (port, asked):
        assert watched(host, port, seconds=5)[1]["probe"]["sent"] == 6
    assert len(asked) == 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "/a b"},
        {"path": "/\r\nX: y"},
        {"host": "a\r\nb"},
        {"listener": "other"},
        {"requests_per_second": 51},
        {"requests_per_second": True},
        {"address": "192.0.2.1"},
    ],
)
def test_a_probe_that_is_none_or_goes_elsewhere_is_refused(
    host: Host, wrong: dict[str, Any]
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    code, answer = watched(host, 1, **wrong)
    assert code == 10 and "probe" in answer["error"]["what"]


@pytest.mark.parametrize("bind", [{"http": False}, {"accept_proxy": True}])
def test_a_listener_that_cannot_be_asked_in_http_is_refused(
    host: Host, bind: dict[str, Any]
) -> None:
    host.deploy("c1", SECOND, confirm=False)
    host.driver.listeners = lambda: bound(1, **bind)  # type: ignore[method-assign]
    code, _ = host.program(*JUDGE, stdin=json.dumps(POLICY | {"probe": PROBE}).encode())
    assert code == 10


@pytest.mark.parametrize(
    ("address", "asked"),
    [("*", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.7", "192.0.2.7")],
)
def test_the_address_is_the_listeners_own(host: Host, address: str, asked: str) -> None:
    host.driver.listeners = lambda: bound(80, address=address)  # type: ignore[method-assign]
    found = open_probe(PROBE, host.driver)
    assert found is not None and found.endpoint["address"] == asked


def test_probes_come_from_many_addresses() -> None:
    sources = {source_of(number) for number in range(100000)}
    assert len(sources) == 100000 and all(one.startswith("127.") for one in sources)
