"""Speak with the on-host program: one argument list out, one JSON object back.

Pure: the words that are sent and the answer that is read. How they travel (Ansible's ssh
connection, a container, a fake in a test) is the caller's business, through a `Channel`.
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
# The program never answers with more than this; what is larger is not its answer.
LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
# Verbs that change nothing on the host: they also run in check mode.
READING_VERBS = frozenset({"status"})

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
    """What the program said: its exit code and its JSON object."""

    exit_code: int
    result: Mapping[str, Any]

    def error(self, host: str) -> EvenkeelError | None:
        """The refusal or failure in this answer, as ours, or None when the verb succeeded."""
        fault = self.result.get("error")
        if not fault:
            return None
        kind = _CLASSES.get(self.exit_code, errors.RollbackFailed)
        where = str(fault.get("where") or "")
        return kind(
            str(fault.get("what") or "The host's program failed without a word"),
            where=f"{host}: {where}" if where else host,
            wanted=str(fault.get("wanted") or ""),
            got=str(fault.get("got") or ""),
            next_step=str(fault.get("next_step") or ""),
        )


def arguments(balancer: str, verb: str, options: Mapping[str, object]) -> list[str]:
    """Give the argument list that runs `verb` for `balancer` through the one sudo rule.

    An option named `lease_seconds` becomes `--lease-seconds VALUE`, one that is True becomes a bare
    flag, one that is False or None is left out. Raises Refused for a name that is no option's.
    """
    words = ["sudo", "-n", PROGRAM, "--balancer", balancer, verb.replace("_", "-")]
    for name, value in options.items():
        if not _WORD.fullmatch(name):
            raise Refused(f"{name!r} is no option of the on-host program", where=verb)
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
    options: Mapping[str, object],
    stdin: bytes = b"",
) -> Answer:
    """Run one verb on one host and give its answer, success or not.

    Raises Refused when what came back is not the program's answer (it is not installed, or sudo
    said no).
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
            "The on-host program gave no answer",
            where=host,
            wanted=f"one JSON object from {PROGRAM}",
            got=f"exit code {exit_code}" + (f", {said[-1][:200]}" if said else ""),
            next_step="put it in place with playbooks/install.yml, then run the same command again",
        ) from None
    return Answer(exit_code, result)
