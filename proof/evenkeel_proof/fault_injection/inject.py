"""Runs on a host: the installed program, its steps counted, and stopped where the orders say.

    python3 inject.py '{"at": 3, "moment": "after"}' --balancer KIND VERB …

Without `at` nothing is stopped, and the last line on standard error is the list of the steps met.
`reload_seconds` and `most_leaving` put other limits in the place of the program's; `wall_seconds`
moves what the program sees of the wall clock; `after_lease` waits until the pending lease is over;
`hang_seconds` stops the process `main_pid` for so long right before its first reload.
The program's own answer goes to standard output.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, TypeVar

if TYPE_CHECKING:
    from evenkeel.host.state.machine import Machine

T = TypeVar("T")
PROGRAM = "/usr/local/sbin/evenkeel-host"
RELOAD = "balancer: reload"


def main() -> int:
    """Run the verb under the orders and give its exit code."""
    orders: Dict[str, Any]
    orders, words = json.loads(sys.argv[1]), sys.argv[2:]
    sys.path.insert(0, PROGRAM)
    _move_the_wall_clock(orders.get("wall_seconds", 0))
    from evenkeel.host import main as program
    from evenkeel.host.system.steps import Steps

    met: List[str] = []

    class Injected(Steps):
        """Counts steps and kills the program before or after one of them."""

        def run(self, name: str, action: Callable[[], T]) -> T:
            """Run a step, or die of it."""
            met.append(name)
            here = len(met) == orders.get("at")
            if here and orders["moment"] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == RELOAD and met.count(name) == 1 and "hang_seconds" in orders:
                _hang(orders["main_pid"], orders["hang_seconds"])
            result = action()
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

    def make(balancer: str, steps: Steps) -> Machine:
        machine = program.machine_of(balancer, steps)
        if "reload_seconds" in orders:
            machine.reload_seconds = orders["reload_seconds"]
        if "most_leaving" in orders:
            machine.most_leaving = orders["most_leaving"]
        if orders.get("after_lease"):
            _wait_for_the_end_of_the_lease(machine)
        return machine

    code = program.main(words, stdin=sys.stdin.buffer, make=make, steps=Injected())
    sys.stderr.write(json.dumps(met) + "\n")
    return code


def _hang(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    script = f"sleep {seconds:.1f}; kill -CONT {pid}"
    quiet = subprocess.DEVNULL
    words = ["/bin/sh", "-c", script]
    subprocess.Popen(words, start_new_session=True, stdin=quiet, stdout=quiet, stderr=quiet)


def _move_the_wall_clock(seconds: float) -> None:
    true_time, true_clock = time.time, time.clock_gettime

    def clock_gettime(which: int) -> float:
        return true_clock(which) + (seconds if which == time.CLOCK_REALTIME else 0)

    time.time = lambda: true_time() + seconds
    time.clock_gettime = clock_gettime


def _wait_for_the_end_of_the_lease(machine: Machine) -> None:
    deadline = float(machine.journal().under_way()["lease"]["deadline"])
    time.sleep(max(0.0, deadline - machine.clock.boottime()) + 0.01)


if __name__ == "__main__":
    sys.exit(main())
