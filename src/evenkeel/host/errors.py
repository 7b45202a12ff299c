"""Errors of the on-host program: what, where, wanted, got, next step, and an exit code each."""

from __future__ import annotations

from typing import Dict

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_REFUSED = 10
EXIT_REVERTED = 11
EXIT_ROLLBACK_FAILED = 12


class HostError(Exception):
    """Base of every error that a verb reports; `exit_code` is one of the reserved codes."""

    exit_code = EXIT_REFUSED
    outcome = "untouched"

    def __init__(
        self, what: str, *, where: str = "", wanted: str = "", got: str = "", next_step: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.wanted = wanted
        self.got = got
        self.next_step = next_step

    def as_dict(self) -> Dict[str, str]:
        """Give the `error` object of the program's answer."""
        return {
            "what": self.what,
            "where": self.where,
            "wanted": self.wanted,
            "got": self.got,
            "next_step": self.next_step,
        }


class UsageError(HostError):
    """The program does not know this command line."""

    exit_code = EXIT_USAGE


class Refused(HostError):
    """Nothing was touched: the request is unsafe or impossible."""


class Reverted(HostError):
    """The host went back to what it ran before."""

    exit_code = EXIT_REVERTED
    outcome = "reverted"


class RollbackFailed(HostError):
    """The host could not go back: an operator is needed."""

    exit_code = EXIT_ROLLBACK_FAILED
    outcome = "failed"


class BalancerError(Exception):
    """The balancer said no, or its answer proves nothing. Raised by drivers."""


class BalancerDown(BalancerError):
    """The balancer's process cannot be reached: it does not run."""
