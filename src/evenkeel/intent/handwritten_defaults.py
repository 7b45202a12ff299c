"""Fill in the intent's defaults for a hand-written configuration.

A role reads its balancer's language (`by_hand` of its dialect); this adds the defaults. The result
has `by_hand` set, in itself and in each pool. It cannot be rendered: its files ship unchanged, and
its shares cannot be forecast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.intent.model import Guardrails, Timeouts


def completed(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Give the role's `reading` in the form of a normalised intent, as plain JSON data."""
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
