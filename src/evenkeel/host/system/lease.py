"""How long an unconfirmed change may live without a sign from its controller.

A deadline counts seconds of CLOCK_BOOTTIME, which no clock change can move and which goes on in
suspend, together with the boot it belongs to: after a reboot every deadline is over.
"""

from __future__ import annotations

import time
from typing import Any, Dict

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Clock:
    """The host's clocks. A test replaces it."""

    def boottime(self) -> float:
        """Seconds since boot, suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """Give the name of this boot."""
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read(64).strip()

    def wall(self) -> float:
        """Seconds since 1970, as people and approvals count; no lease is decided by it."""
        return time.time()

    def now(self) -> str:
        """Give the time in UTC as ISO 8601 with milliseconds."""
        return iso(self.wall())

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def iso(seconds: float) -> str:
    """Write seconds since 1970 as UTC in ISO 8601; such texts sort as the times do."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{int(seconds % 1 * 1000):03d}Z"


def seconds_of(text: str) -> float:
    """Read what `iso` wrote. Raises ValueError for anything else."""
    import calendar

    whole = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return whole + float(f"0{text[19:-1]}")


def grant(clock: Clock, seconds: float) -> Dict[str, Any]:
    """Give a lease that ends `seconds` from now, as it is kept in the journal."""
    return {
        "boot_id": clock.boot_id(),
        "deadline": round(clock.boottime() + seconds, 3),
        "seconds": seconds,
    }


def remaining(clock: Clock, lease: Dict[str, Any]) -> float:
    """Give the seconds left of `lease`; 0.0 when it is over or from before a reboot."""
    if lease.get("boot_id") != clock.boot_id():
        return 0.0
    return max(0.0, round(float(lease["deadline"]) - clock.boottime(), 3))


def is_over(clock: Clock, lease: Dict[str, Any]) -> bool:
    """Tell whether `lease` has ended."""
    return remaining(clock, lease) <= 0.0
