"""Nothing that a caller's process hands down decides what the program does."""

import os
import subprocess
import sys

import pytest

from evenkeel.host.errors import Refused
from evenkeel.host.system import stdin

HANDED_DOWN = """
import resource, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGCHLD, signal.SIGTERM])
from evenkeel.host.system import process, stdin
if sys.argv[1] == "forget":
    stdin.forget_process()
print(process.run(["false"], 10)[0], len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
"""


def child(word: str) -> list[str]:
    words = [sys.executable, "-c", HANDED_DOWN, word]
    done = subprocess.run(words, capture_output=True, timeout=30, check=True, text=True)
    return done.stdout.split()


def test_a_check_that_fails_fails_though_the_caller_ignores_the_end_of_children() -> None:
    assert child("as it came") == ["0", "2"], "the trap is gone, and so is the reason for this"
    assert child("forget") == ["1", "0"]


def test_reads_its_input_to_the_end_or_the_limit() -> None:
    for most, wanted in ((100, b"x" * 10), (10, b"x" * 10), (3, b"xxx")):
        out, into = os.pipe()
        os.write(into, b"x" * 10)
        os.close(into)
        assert stdin.Input(out).read(most) == wanted
        os.close(out)


@pytest.mark.parametrize("limit", ["LONGEST_PAUSE_SECONDS", "LONGEST_INPUT_SECONDS"])
def test_an_input_that_stands_still_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, limit, 0.05)
    out, into = os.pipe()
    os.write(into, b"half")
    with pytest.raises(Refused) as refused:
        stdin.Input(out).read(100)
    assert refused.value.got == "4 bytes so far" and refused.value.next_step
    os.close(out)
    os.close(into)
