"""What a hand-written configuration stands for: an intent's form with every default filled in.

A role reads its own language (`by_hand` of its dialect); what the role does not say is ours. The
result has `by_hand` set, in itself and in each pool, and is not an intent that could be rendered:
its shares are unknown beforehand, and the bytes are the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.intent.model import Guardrails, Timeouts


def completed(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the role read, as plain JSON data, with our defaults for what it does not say."""
    guardrails = Guardrails().model_dump(mode="json")
    pools = []
    for pool in reading["pools"]:
        own = pool.get("guardrails", {})
        if own:
            guardrails["pools"][pool["name"]] = own
        pools.append({key: value for key, value in pool.items() if key != "guardrails"})
    return {
        **reading,
        "timeouts": {**Timeouts().model_dump(mode="json"), **reading["timeouts"]},
        "pools": pools,
        "guardrails": guardrails,
    }
