"""Call the on-host program: send one argument list, read one JSON object.

The caller provides the transport as a `Channel`: Ansible's ssh connection, a container, or a fake
in a test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evenkeel import errors
from evenkeel.errors import EvenkeelError, Refused

PROGRAM = "/usr/local/sbin/evenkeel-host"
# The program never answers with more.
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
# Verbs that only read also run in check mode.
READING_VERBS = frozenset({"status"})

OptionValue = str | int | float | bool | None
"""An option of the on-host program: True is a bare flag, False and None are left out."""

Channel = Callable[[list[str], bytes], tuple[int, bytes, bytes]]
"""Runs an argument list on a host with bytes on its standard input: exit code, output, errors."""

_WORD = re.compile(r"[a-z][a-z_]*")
_CLASSES: dict[int, type[EvenkeelError]] = {
    errors.EXIT_USAGE: errors.UsageError,
    errors.EXIT_REFUSED: errors.Refused,
    errors.EXIT_ROLLED_BACK: errors.RolledBack,
    errors.EXIT_ROLLBACK_FAILED: errors.RollbackFailed,
    errors.EXIT_INCONCLUSIVE: errors.Inconclusive,
}


@dataclass(frozen=True)
class Answer:
    """The program's exit code and its JSON object."""

    exit_code: int
    result: Mapping[str, Any]

    def error(self, host: str) -> EvenkeelError | None:
        """The refusal or failure in this answer as an exception, or None on success."""
        error = self.result.get("error")
        if not error:
            return None
        kind = _CLASSES.get(self.exit_code, errors.RollbackFailed)
        where = str(error.get("where") or "")
        return kind(
            str(error.get("what") or "The on-host program failed without a message"),
            where=f"{host}: {where}" if where else host,
            wanted=str(error.get("wanted") or ""),
            got=str(error.get("got") or ""),
            next_step=str(error.get("next_step") or ""),
        )


def arguments(balancer: str, verb: str, options: Mapping[str, OptionValue]) -> list[str]:
    """Give the argument list that runs `verb` for `balancer` through the one sudo rule.

    An option named `lease_seconds` becomes `--lease-seconds VALUE`. True becomes a bare flag; False
    and None are left out. Raises Refused for an invalid option name.
    """
    words = ["sudo", "-n", PROGRAM, "--balancer", balancer, verb.replace("_", "-")]
    for name, value in options.items():
        if not _WORD.fullmatch(name):
            raise Refused(f"{name!r} is not an option of the on-host program", where=verb)
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return words


def call(
    channel: Channel,
    *,
    host: str,
    balancer: str,
    verb: str,
    options: Mapping[str, OptionValue],
    stdin: bytes = b"",
) -> Answer:
    """Run one verb on one host and give its answer, success or not.

    Raises Refused when the output is not an answer of the program (it is not installed, or sudo
    refused).
    """
    exit_code, out, err = channel(arguments(balancer, verb, options), stdin)
    try:
        if len(out) > LARGEST_ANSWER_BYTES:
            raise ValueError
        result = json.loads(out)
        if not isinstance(result, dict) or "ok" not in result:
            raise ValueError
    except ValueError:
        said = err.decode(errors="replace").strip().splitlines()
        raise Refused(
            "The on-host program did not answer",
            where=host,
            wanted=f"one JSON object from {PROGRAM}",
            got=f"exit code {exit_code}" + (f", {said[-1][:200]}" if said else ""),
            next_step="install it with playbooks/install.yml, then run the same command again",
        ) from None
    return Answer(exit_code, result)
