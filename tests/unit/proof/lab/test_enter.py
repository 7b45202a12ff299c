"""Which process of this machine is entered for a container: its first one, or none."""

import os
import subprocess
from pathlib import Path

import pytest
from evenkeel_proof.lab import enter

ID = "c0ffee" * 10 + "c0ff"


@pytest.fixture
def answers(monkeypatch):
    """Gives a way to say what podman answers when it is asked for a container's process."""
    said = {}
    monkeypatch.setattr(enter, "_known", {})
    monkeypatch.setattr(
        enter.subprocess,
        "run",
        lambda words, **_: subprocess.CompletedProcess(words, said["code"], said["out"], b""),
    )
    return lambda code, out: said.update(code=code, out=out.encode())


def own_group():
    return Path("/proc/self/cgroup").read_text().split(":")[2].split()[0]


def enters(name="lab-lb1"):
    return "nsenter" in enter.command(name)


def test_the_first_process_of_a_container_is_entered(answers):
    # What stands in a process's control group is for podman the container's name in full.
    answers(0, f"{os.getpid()} {own_group()}\n")
    assert f"--target={os.getpid()}" in enter.command("lab-lb1")


def test_a_number_that_another_process_has_by_now_is_not_entered(answers):
    answers(0, f"{os.getpid()} {ID}\n")
    assert not enters()


@pytest.mark.parametrize("code, out", [(125, ""), (0, f"0 {ID}\n"), (0, f"4194304 {ID}\n")])
def test_a_container_that_does_not_run_is_not_entered(answers, code, out):
    answers(code, out)
    assert not enters()


def test_a_container_that_was_started_again_is_looked_up_again(answers):
    answers(0, f"{os.getpid()} {own_group()}\n")
    assert enters()
    with subprocess.Popen(["true"]) as ended:
        pass
    enter._known["lab-lb1"] = enter._First(ended.pid, "1", "-all")
    assert f"--target={os.getpid()}" in enter.command("lab-lb1")


@pytest.mark.parametrize(
    ("code", "said", "wanted"),
    [(-9, b"", 137), (1, b"nsenter: cannot open /proc/7/ns/mnt", 125), (1, b"", 1), (0, b"", 0)],
)
def test_exit_codes_are_those_that_podman_would_give(code, said, wanted, monkeypatch):
    monkeypatch.setattr(enter, "command", lambda _: [])
    done = subprocess.CompletedProcess([], code, b"", said)
    monkeypatch.setattr(enter.subprocess, "run", lambda *_, **__: done)
    assert enter.run("lab-lb1", ["true"]).returncode == wanted
