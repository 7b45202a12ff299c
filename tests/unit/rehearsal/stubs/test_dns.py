"""A stand-in name server answers as RFC 1035 has it, and nothing makes it fail."""

import asyncio
import socket

import pytest

from evenkeel.rehearsal.stubs import dns

NAMES = {
    "app.corp": "127.255.0.1",
    "slot3.app.corp": "127.255.0.3",
    "slot2.app.corp": "127.255.0.2",
    "other.app.corp": "127.255.0.9",
}


def query(name, kind=1):
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + labels + b"\0" + bytes([0, kind, 0, 1])


def given(said):
    count = int.from_bytes(said[6:8], "big")
    return [socket.inet_ntoa(said[len(said) - 16 * n + 12 :][:4]) for n in range(count, 0, -1)]


def test_a_name_has_its_address_and_those_of_its_slots():
    said = dns.answer(query("App.Corp"), NAMES)
    assert said[:4] == b"\x12\x34\x81\x80"
    assert given(said) == ["127.255.0.1", "127.255.0.2", "127.255.0.3"]


def test_a_name_has_no_address_of_another_family():
    said = dns.answer(query("app.corp", kind=28), NAMES)
    assert (said[3] & 15, given(said)) == (0, [])


def test_a_name_that_is_unknown_does_not_exist():
    assert dns.answer(query("nobody.corp"), NAMES)[3] & 15 == 3


@pytest.mark.parametrize("end", range(len(query("app.corp"))))
def test_what_is_no_question_has_no_answer(end):
    assert dns.answer(query("app.corp")[:end], NAMES) == b""


def test_a_name_that_points_about_has_no_answer():
    assert dns.answer(query("app.corp")[:12] + b"\xc0\x0c\0\1\0\1", NAMES) == b""


def test_a_query_over_the_network_is_answered_and_a_place_that_is_taken_is_left_alone():
    def ask(place):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(query("app.corp"), place)
            return given(client.recv(512))

    async def both():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            place = probe.getsockname()
            await dns.serve([place], NAMES)
        await dns.serve([place], NAMES)
        return await asyncio.to_thread(ask, place)

    assert asyncio.run(both()) == ["127.255.0.1", "127.255.0.2", "127.255.0.3"]


MANY = {"many.corp": "127.255.1.0"} | {
    f"slot{at}.many.corp": f"127.255.1.{at}" for at in range(2, 65)
}


def with_room(most_bytes):
    """Give a query with an OPT record (RFC 6891, 6.1.2) that says how long an answer may be."""
    head = query("many.corp")
    opt = b"\0" + (41).to_bytes(2, "big") + most_bytes.to_bytes(2, "big") + b"\0" * 6
    return head[:11] + b"\1" + head[12:] + opt


@pytest.mark.parametrize(
    ("asked", "count", "most"),
    [
        (query("many.corp"), 30, 512),
        (with_room(512), 30, 512),
        (with_room(100), 30, 512),
        (with_room(800), 48, 800),
        (with_room(4096), 64, 4096),
    ],
)
def test_an_answer_is_no_longer_than_the_one_who_asks_can_take(asked, count, most):
    said = dns.answer(asked, MANY)
    assert len(said) <= most
    assert len(given(said)) == count
    # HAProxy takes nothing of an answer that says it is truncated.
    assert not said[2] & 2
