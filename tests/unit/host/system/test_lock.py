"""The lock of a host goes with its owner, however that ends."""

import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from evenkeel.host.errors import Refused
from evenkeel.host.system import lock, process

CONTEXT = multiprocessing.get_context("fork")


def _hold(path: str, ready: Event) -> None:
    with lock.held(path, "activate", 1.0):
        ready.set()
        signal.pause()


def _hold_under_a_program(path: str, fifo: str) -> None:
    """Hold the lock while a program runs, as the balancer's own check does; it outlives us."""
    with lock.held(path, "prepare", 1.0):
        process.run(["sh", "-c", f"echo $$ > {fifo}; exec sleep 60"], 60)


def free_at_once(path: Path) -> bool:
    try:
        with lock.held(str(path), "rollback", 0.0):
            return True
    except Refused:
        return False


def killed(owner: multiprocessing.process.BaseProcess) -> None:
    owner.kill()
    owner.join()
    assert owner.exitcode == -signal.SIGKILL


def test_a_lock_whose_owner_was_killed_is_free_at_once(tmp_path: Path) -> None:
    path, ready = tmp_path / "lock", CONTEXT.Event()
    owner = CONTEXT.Process(target=_hold, args=(str(path), ready))
    owner.start()
    try:
        assert ready.wait(10)
        assert not free_at_once(path)
    finally:
        killed(owner)
    assert free_at_once(path)


def test_a_program_that_outlives_the_killed_owner_does_not_keep_the_lock(tmp_path: Path) -> None:
    path, fifo = tmp_path / "lock", tmp_path / "fifo"
    os.mkfifo(fifo)
    owner = CONTEXT.Process(target=_hold_under_a_program, args=(str(path), str(fifo)))
    owner.start()
    child = int(fifo.read_text())
    try:
        assert not free_at_once(path)
        killed(owner)
        os.kill(child, 0)
        assert free_at_once(path)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("left", [b"", b"{not json", b'{"pid": 1}'])
def test_what_a_dead_owner_wrote_into_the_lock_keeps_nobody_out(
    tmp_path: Path, left: bytes
) -> None:
    path = tmp_path / "lock"
    path.write_bytes(left)
    assert free_at_once(path)
