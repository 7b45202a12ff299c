"""What can be wrong with a change, as the counters of a fleet's hosts would show it."""

from __future__ import annotations

from dataclasses import dataclass

# Each host has a pool of five equal servers that the change touches, and, for one fault, another
# one that it does not touch and that is seldom asked for.
WEB, RARE = "web", "rare"
SERVERS = ("web1", "web2", "web3", "web4", "web5")
EVEN = (0.2,) * 5
USUAL_ERROR_RATE = 0.003


@dataclass(frozen=True)
class Fault:
    """What a change does to a host that it is wrong on.

    `shares` are those of the servers of WEB; `hosts_part` is the part of all hosts on which it is
    wrong; `rare_part` is RARE's part of the requests (0: the hosts have no such pool).
    """

    name: str
    words: str
    shares: tuple[float, ...] = EVEN
    error_rate: float = USUAL_ERROR_RATE
    usual_error_rate: float = USUAL_ERROR_RATE
    hosts_part: float = 1.0
    rare_part: float = 0.0
    rare_shares: tuple[float, ...] = EVEN

    @property
    def touched_part(self) -> float:
        """The part of a host's requests that the fault touches."""
        return self.rare_part or 1.0


SILENT = (0.0, 0.25, 0.25, 0.25, 0.25)
GOOD = Fault("good", "nothing is wrong", hosts_part=0.0)
FAULTS = (
    Fault("shift", "2024-06-20: one of five servers gets 71 %", (10 / 14, *(1 / 14,) * 4)),
    Fault("silent", "one of five servers gets nothing", SILENT),
    Fault("skew", "one of five servers gets 30 % instead of 20 %", (0.3, *(0.175,) * 4)),
    Fault("errors", "errors 0.3 % → 0.6 %, below the budget", error_rate=2 * USUAL_ERROR_RATE),
    Fault(
        "some_hosts", "on 1 host of 50 one of five servers gets nothing", SILENT, hosts_part=0.02
    ),
    Fault(
        "sum",
        "in a pool with 1 % of the requests, one of five servers gets 40 %",
        rare_part=0.01,
        rare_shares=(0.4, *(0.15,) * 4),
    ),
)
