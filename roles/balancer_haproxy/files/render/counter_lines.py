"""Lines that make HAProxy count clients of a hash and slow answers.

HAProxy 2.6 counts sessions and requests, not clients, and its times are averages. The driver finds
these lines in the live configuration (driver/declared.py) and reads them (driver/counters.py).
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

# A hash's key -> a client. With nopurge a full table takes no more entries,
# so each count can only grow.
_KEYS: Dict[str, str] = {"source": "src", "uri": "path"}
LEAST_CLIENTS, CLIENTS_PER_SERVER, MOST_CLIENTS = 4096, 128, 32768


def client_lines(pool: Mapping[str, Any]) -> List[str]:
    """Give the lines that count each key of a hash once, at its server.

    Empty for a pool with a cookie, since HAProxy counts those clients itself, and for a pool whose
    own lines use its only stick table.
    """
    algorithm = pool["algorithm"]
    own = any("stick" in line.split(" ", 1)[0] for line in pool["extra"])
    if algorithm["kind"] != "hash" or pool["stickiness"] or own:
        return []
    key = _KEYS.get(algorithm["key"])
    if key is None:
        fetch = "req.fhdr" if algorithm["key"] == "header" else "req.cook"
        key = f"{fetch}({algorithm['name']})"
    size = min(MOST_CLIENTS, max(LEAST_CLIENTS, CLIENTS_PER_SERVER * len(pool["servers"])))
    return [
        f"stick-table type integer size {size} expire 24h nopurge",
        f"stick store-request {key},xxh32",
    ]


def slow_limit(intent: Mapping[str, Any], pool: Mapping[str, Any]) -> Optional[float]:
    """Give the seconds above which an answer of this pool is slow; None without a limit."""
    if pool["mode"] != "http":
        return None
    guardrails = intent["guardrails"]
    own = guardrails["pools"].get(pool["name"], {}).get("slow_response_seconds")
    seconds = guardrails["slow_response_seconds"] if own is None else own
    return None if seconds is None else float(seconds)


def slow_lines(number: int, seconds: float) -> List[str]:
    """Give the lines that count the timed and the slow answers of pool `number`.

    The time runs from the request until the headers of the answer: queue, connection and server.
    """
    timed, slow = f"proc.evenkeel_timed_{number}", f"proc.evenkeel_slow_{number}"
    return [
        "http-request set-var(txn.evenkeel_began) date(0,ms)",
        "http-response set-var(txn.evenkeel_took) date(0,ms),sub(txn.evenkeel_began)",
        f"http-response set-var({timed}) var({timed}),add(1)",
        f"http-response set-var({slow}) var({slow}),add(1)"
        f" if {{ var(txn.evenkeel_took) -m int gt {seconds * 1000:.0f} }}",
    ]


def slow_counters(number: int) -> List[str]:
    """Give the lines of the section global that set the counters of pool `number` to 0."""
    return [f"set-var proc.evenkeel_{word}_{number} int(0)" for word in ("timed", "slow")]
