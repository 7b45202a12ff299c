import os

import pytest

from evenkeel.remote import Answer
from evenkeel.verbs import watch


def in_a_worker(work):
    """Run `work` in a forked process, as Ansible runs a task; give its exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except SystemExit:
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def observe(options, policy):
    return Answer(0, {"ok": True})


def observe_once():
    watch._while_the_controller_lives(observe)({}, b"")


def test_a_worker_observes_while_its_controller_lives():
    assert in_a_worker(observe_once) == 0


def test_a_worker_whose_controller_died_before_it_looked_renews_no_lease(monkeypatch):
    monkeypatch.setattr(watch, "_LOADED_BY", 2**22 + 1)
    assert in_a_worker(observe_once) == 3


def test_a_worker_whose_controller_dies_while_it_observes_gives_no_answer(monkeypatch):
    parents = iter([os.getpid(), 1])
    monkeypatch.setattr(watch.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(watch, "_controller", os.getpid)
    with pytest.raises(SystemExit):
        observe_once()
