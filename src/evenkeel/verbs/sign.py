"""Approve: sign the digest that was rehearsed, with a person's key."""

from __future__ import annotations

from pathlib import Path

from evenkeel.change import approval
from evenkeel.verbs.context import Context
from evenkeel.verbs.results import Result


def approve(context: Context) -> Result:
    """Sign the change; `changed` is False when this person's approval was there already.

    Raises Refused when the person may not approve, or the rehearsal did not pass.
    """
    args = context.args
    key, signers = Path(args["key"]).expanduser(), Path(args["allowed_signers"]).expanduser()
    who = (str(args["person"]), key, signers)
    if context.check_mode:
        return {"changed": approval.given_before(context.folder, *who) is None}
    given = approval.approve(context.folder, *who)
    return {"changed": given.changed, "expires": given.expires}
