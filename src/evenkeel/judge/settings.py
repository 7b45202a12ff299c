"""What a watch has to know beside the counters: the policy, checked and completed."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Tuple

SHARE = "share"
REQUESTS_ONLY = "requests_only"

# The one place of this default: the intent and the rehearsal import it.
DEFAULT_TOLERANCE = 0.3

# key: (default, least, most). Bounds are included, except that alpha and tolerance are above 0.
NUMBERS: Dict[str, Tuple[float, float, float]] = {
    "alpha": (0.01, 1e-12, 0.5),
    "watched_hosts": (1, 1, 1e6),
    "tolerance": (DEFAULT_TOLERANCE, 1e-6, 100.0),
    "minimum_requests": (200, 0, 1e12),
    "error_budget_percent": (1.0, 0.0, 100.0),
    "minimum_active_servers": (1, 0, 1e6),
    "silent_server_requests": (20, 1, 1e12),
    "burst_errors": (10, 1, 1e12),
    "burst_percent": (20.0, 0.0, 100.0),
}
WHOLE = ("watched_hosts", "minimum_requests", "minimum_active_servers", "burst_errors")
POOL_NUMBERS = ("tolerance", "minimum_requests", "error_budget_percent", "minimum_active_servers")
CLIENTS = "clients"
UNITS = ("requests", "connections", CLIENTS)
# Of a pool alone, and only where it is given: (least, most).
QUEUE_NUMBERS: Dict[str, Tuple[float, float]] = {
    "queue_limit": (0, 1e12),
    "queue_samples": (1, 1e6),
}
MOST_INTENDED = 100000


def checked_policy(policy: Mapping[str, Any]) -> Dict[str, Any]:
    """Return `policy` with every default filled in.

    Keys: the numbers above, `default_required` (bool) and `pools`: {pool: {the POOL_NUMBERS,
    required: bool, judged: share | requests_only, unit: requests | connections | clients,
    intended: {server: share of different keys, where a hash assigns them}, few_clients_fail: bool
    (see `guards.few_clients_fault`), queue_limit and queue_samples (see `guards.queue_fault`)}}.
    Raises one ValueError that lists every unknown key and bad value.
    """
    if not isinstance(policy, Mapping):
        raise ValueError("policy: wanted an object, got %s" % type(policy).__name__)
    faults: List[str] = []
    known = set(NUMBERS) | {"default_required", "pools"}
    unknown = sorted(set(policy) - known, key=str)
    faults += ["%s: unknown key" % _name(key, faults) for key in unknown]
    clean: Dict[str, Any] = {
        key: _number(policy.get(key, default[0]), key, key, faults)
        for key, default in NUMBERS.items()
    }
    clean["default_required"] = _flag(
        policy.get("default_required", False), "default_required", faults
    )
    pools = policy.get("pools", {})
    if not isinstance(pools, Mapping):
        faults.append("pools: wanted an object, got %s" % _shown(pools))
        pools = {}
    clean["pools"] = {
        str(name): _pool(pools[name], "pools.%s" % _name(name, faults), faults)
        for name in sorted(pools, key=str)
    }
    if faults:
        raise ValueError("policy: " + "; ".join(faults))
    return clean


def pool_policy(policy: Mapping[str, Any], pool: str) -> Dict[str, Any]:
    """Return the settings of one pool: its own, else those of the whole (checked) `policy`."""
    whole: Dict[str, Any] = {key: policy[key] for key in POOL_NUMBERS}
    whole.update(required=policy["default_required"], judged=SHARE, unit=UNITS[0])
    whole.update(policy["pools"].get(pool, {}))
    return whole


def _pool(given: Any, where: str, faults: List[str]) -> Dict[str, Any]:
    if not isinstance(given, Mapping):
        faults.append("%s: wanted an object, got %s" % (where, _shown(given)))
        return {}
    clean: Dict[str, Any] = {}
    for key in sorted(given, key=str):
        path = "%s.%s" % (where, _name(key, faults))
        if key in POOL_NUMBERS:
            clean[key] = _number(given[key], key, path, faults)
        elif key in ("required", "few_clients_fail"):
            clean[key] = _flag(given[key], path, faults)
        elif key in ("judged", "unit"):
            wanted = (SHARE, REQUESTS_ONLY) if key == "judged" else UNITS
            if given[key] not in wanted:
                got = _shown(given[key])
                faults.append("%s: wanted %s, got %s" % (path, " or ".join(wanted), got))
            clean[key] = given[key]
        elif key in QUEUE_NUMBERS:
            clean[key] = _between(given[key], QUEUE_NUMBERS[key], True, path, faults)
        elif key == "intended":
            clean[key] = _intended(given[key], path, faults)
        else:
            faults.append("%s: unknown key" % path)
    return clean


def _intended(given: Any, where: str, faults: List[str]) -> Dict[str, float]:
    if not isinstance(given, Mapping) or not 0 < len(given) <= MOST_INTENDED:
        faults.append("%s: wanted a share for each server, got %s" % (where, _shown(given)))
        return {}
    return {
        str(name): _between(
            given[name], (0.0, 1.0), False, "%s.%s" % (where, _name(name, faults)), faults
        )
        for name in sorted(given, key=str)
    }


def _shown(value: Any) -> str:
    """Give a value of a caller in a fault: short, and printable everywhere."""
    try:
        return ascii(value)[:80]
    except (ValueError, RecursionError):
        return type(value).__name__


def _name(key: Any, faults: List[str]) -> str:
    """Give a key as it is named in faults; one that UTF-8 cannot write is a fault itself."""
    name = str(key)
    try:
        name.encode()
    except UnicodeEncodeError:
        name = ascii(name)[1:-1]
        faults.append("%s: wanted a name of whole characters" % name[:80])
    return name[:200]


def _flag(value: Any, where: str, faults: List[str]) -> bool:
    if not isinstance(value, bool):
        faults.append("%s: wanted true or false, got %s" % (where, _shown(value)))
    return bool(value)


def _number(value: Any, key: str, where: str, faults: List[str]) -> float:
    _, least, most = NUMBERS[key]
    return _between(value, (least, most), key in WHOLE, where, faults)


def _between(
    value: Any, bounds: Tuple[float, float], whole: bool, where: str, faults: List[str]
) -> float:
    least, most = bounds
    kind = int if whole else (int, float)
    good = isinstance(value, kind) and not isinstance(value, bool)
    # A whole number of any length compares; only a float can be no number at all.
    good = good and (isinstance(value, int) or math.isfinite(value))
    if not good or not least <= value <= most:
        word = "a whole number" if whole else "a number"
        wanted = "%s from %g to %g" % (word, least, most)
        faults.append("%s: wanted %s, got %s" % (where, wanted, _shown(value)))
        return least
    number: float = value
    return number
