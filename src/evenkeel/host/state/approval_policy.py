"""The host's own policy: how many approvals a change needs, by whom, and for which host.

The policy lies outside of the store, where the deploy user's verbs write nothing. No policy means
that nothing is demanded; one that cannot be trusted refuses, and never counts as none.
"""

from __future__ import annotations

import json
import os
import stat
from typing import NamedTuple, Optional

from evenkeel.host.errors import Refused

ROOT = "/etc/evenkeel"
POLICY = "policy.json"
SIGNERS = "allowed_signers"
LARGEST_POLICY_BYTES = 64 * 1024
MOST_APPROVALS = 16


class Policy(NamedTuple):
    """The number of approvals for this host, by people in the file `signers`."""

    approvals_required: int
    host: str
    signers: str


def read(folder: str) -> Optional[Policy]:
    """Give the policy in `folder`, None when there is none.

    Raises Refused when it cannot be read, or when others than root could have written it.
    """
    path = os.path.join(folder, POLICY)
    try:
        for above in (os.path.dirname(folder), folder):
            _require_own(above, os.lstat(above), stat.S_IFDIR)
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    return _policy(path, own_file(path, LARGEST_POLICY_BYTES), os.path.join(folder, SIGNERS))


def own_file(path: str, limit: int) -> bytes:
    """Read a file that root alone can write. Raises Refused for any other and for none."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            _require_own(path, os.fstat(file.fileno()), stat.S_IFREG)
            data = file.read(limit + 1)
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    if len(data) > limit:
        raise _unreadable(path, f"more than {limit} bytes")
    return data


def _policy(path: str, data: bytes, signers: str) -> Policy:
    try:
        said = json.loads(data)
        required, host = said["approvals_required"], said["host"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _unreadable(path, "something else") from None
    if type(required) is not int or not 1 <= required <= MOST_APPROVALS:
        raise _unreadable(path, f"approvals_required {str(required)[:40]}")
    if not isinstance(host, str) or not host or set(said) != {"approvals_required", "host"}:
        raise _unreadable(path, "no host, or more than that")
    return Policy(required, host, signers)


def _require_own(path: str, facts: os.stat_result, kind: int) -> None:
    alone = facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
    if not alone or stat.S_IFMT(facts.st_mode) != kind:
        raise Refused(
            "Another user could have written the policy of this host",
            where=path,
            wanted="a file or folder, no link, that root owns and root alone can write",
            got=f"owner {facts.st_uid}, mode {facts.st_mode:06o}",
            next_step="find out who changed the mode, then run playbooks/install.yml again",
        )


def _unreadable(path: str, got: str) -> Refused:
    return Refused(
        "The policy of this host cannot be read",
        where=path,
        wanted=f"approvals_required from 1 to {MOST_APPROVALS} and host; and the allowed signers",
        got=got,
        next_step="run playbooks/install.yml again as an administrator",
    )
