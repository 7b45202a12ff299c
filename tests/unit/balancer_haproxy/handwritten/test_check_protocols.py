"""What a server says to a check of its own protocol is what HAProxy waits for."""

import pytest

from evenkeel.balancer.dialect import load_dialect
from evenkeel.containers.names import ROOT
from evenkeel.rehearsal.stubs import protocols

DIALECT = load_dialect(ROOT / "roles" / "balancer_haproxy")


def speech(lines):
    text = f"backend b\n{lines}    server s 10.0.0.1:25 check\n"
    spoken = DIALECT.handwritten({"haproxy.cfg": text.encode()})["pools"][0]["speaks"]
    return protocols.read({"s": spoken})["s"] if spoken else None


def test_a_mail_server_speaks_first_and_answers_a_greeting():
    mail = speech("    option smtpchk EHLO lb.example\n")
    assert mail.greets.startswith(b"220 ")
    for said in (b"EHLO lb.example\r\n", b"QUIT\r\n"):
        assert mail.reply(said).startswith(b"250")


@pytest.mark.parametrize(
    ("option", "asked", "said"),
    [
        ("redis-check", b"*1\r\n$4\r\nPING\r\n", b"+PONG"),
        ("pgsql-check user x", b"\0\0\0\x20\0\3\0\0user", b"R\0\0\0\x08"),
        ("ldap-check", b"0\x0c\2\1\1`", b"0\x0c\2\1\1a\x07\n\1\0"),
        ("ssl-hello-chk", b"\x16\3\0\0\x79", b"\x15\3"),
        ("mysql-check user x", b"\x20\0\0\1", b"\7\0\0\2\0"),
    ],
)
def test_each_protocol_has_its_answer(option, asked, said):
    assert speech(f"    option {option}\n").reply(asked).startswith(said)


def test_the_steps_of_a_check_are_what_its_server_says():
    steps = (
        "    option tcp-check\n    tcp-check expect string 220\\ ready\n"
        "    tcp-check send PING\\r\\n\n    tcp-check expect string +PONG\n"
        "    tcp-check send-binary 0a0b\n    tcp-check expect binary ff\n"
    )
    one = speech(steps)
    assert one.greets == b"220 ready\r\n"
    assert one.reply(b"PING\r\n") == b"+PONG\r\n"
    assert one.reply(b"\n\x0b") == b"\xff"


@pytest.mark.parametrize(
    "step",
    ["expect ! string no", "expect rstring ^a[0-9]$", "connect port 25", "expect rbinary 1."],
)
def test_what_is_not_known_is_not_made_up(step):
    assert speech(f"    option tcp-check\n    tcp-check send X\n    tcp-check {step}\n") is None


def test_a_request_of_ours_is_no_question_of_the_server_s_protocol():
    assert speech("    option mysql-check\n").reply(b"GET / HTTP/1.1\r\nHost: a\r\n") == b""


@pytest.mark.parametrize(
    "regex",
    ["(?<role>master)", r"role\K:master", "(a+)+$", r"\d", "[", "a|b"],
)
def test_a_regex_of_the_operator_is_read_and_never_run(regex):
    step = f"    option tcp-check\n    tcp-check send X\n    tcp-check expect rstring '{regex}'\n"
    assert speech(step) is None


def test_a_regex_of_plain_letters_is_what_a_server_says():
    step = "    option tcp-check\n    tcp-check expect rstring '^220 mail.example \\[ready\\]'\n"
    assert speech(step).greets == b"220 mail.example [ready]\r\n"
