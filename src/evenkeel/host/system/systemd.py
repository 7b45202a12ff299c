"""systemd, as far as a switch needs it: the timer that reverts, and the balancer's own unit."""

from __future__ import annotations

import contextlib
import os

from evenkeel.host.errors import Refused
from evenkeel.host.system import process

PROGRAM = "/usr/local/sbin/evenkeel-host"
TIMEOUT_SECONDS = 20


class Units:
    """Talks to systemd. A test replaces it."""

    def __init__(self, balancer: str, program: str = PROGRAM) -> None:
        self._balancer = balancer
        self._program = program

    def new_timer(self) -> str:
        """Give a name that no other timer has had, so that a stale one never stands in the way."""
        return f"evenkeel-expire-{self._balancer}-{os.urandom(6).hex()}"

    def arm(self, timer: str, seconds: float) -> None:
        """Start a timer that runs `expire` after `seconds`. Raises Refused when systemd does not.

        The timer does nothing but look at the journal, so one that was left over harms nobody.
        """
        code, said = process.run(
            [
                "systemd-run",
                "--quiet",
                "--collect",
                f"--unit={timer}",
                f"--on-active={max(seconds, 0.1):.3f}s",
                "--timer-property=AccuracySec=50ms",
                "--property=TimeoutStartSec=300",
                f"--description=Evenkeel: end what is due on {self._balancer}",
                self._program,
                "--balancer",
                self._balancer,
                "expire",
            ],
            TIMEOUT_SECONDS,
        )
        if code:
            raise Refused(
                "The timer that would end this by itself could not be armed",
                where=timer,
                wanted="systemd-run to start it",
                got=said.strip()[-300:] or f"exit code {code}",
                next_step="see `systemctl status` on the host; nothing was touched",
            )

    def disarm(self, timer: str) -> None:
        """Stop a timer. One that has gone already, or stays, harms nobody: `expire` looks again."""
        with contextlib.suppress(OSError):
            process.run(["systemctl", "stop", "--no-block", f"{timer}.timer"], TIMEOUT_SECONDS)

    def start(self, unit: str) -> None:
        """Start `unit`, which does not run. What it says is judged by looking at the balancer."""
        process.run(["systemctl", "reset-failed", unit], TIMEOUT_SECONDS)
        process.run(["systemctl", "start", unit], 60)
