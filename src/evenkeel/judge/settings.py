"""The settings of a watch: the policy, checked and completed."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Tuple

SHARE = "share"
REQUESTS_ONLY = "requests_only"

# The only copy: the intent and the rehearsal import it.
DEFAULT_TOLERANCE = 0.3

# key: (default, least, most), bounds included.
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
# Only for a pool that gives them: (least, most).
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
    (`guards.few_clients_problem`), queue_limit and queue_samples (`guards.queue_problem`)}}.
    Raises one ValueError that lists every unknown key and bad value.
    """
    if not isinstance(policy, Mapping):
        raise ValueError("policy: wanted an object, got %s" % type(policy).__name__)
    problems: List[str] = []
    known = set(NUMBERS) | {"default_required", "pools"}
    unknown = sorted(set(policy) - known, key=str)
    problems += ["%s: unknown key" % _name(key, problems) for key in unknown]
    clean: Dict[str, Any] = {
        key: _number(policy.get(key, default[0]), key, key, problems)
        for key, default in NUMBERS.items()
    }
    clean["default_required"] = _flag(
        policy.get("default_required", False), "default_required", problems
    )
    pools = policy.get("pools", {})
    if not isinstance(pools, Mapping):
        problems.append("pools: wanted an object, got %s" % _shown(pools))
        pools = {}
    clean["pools"] = {
        str(name): _pool(pools[name], "pools.%s" % _name(name, problems), problems)
        for name in sorted(pools, key=str)
    }
    if problems:
        raise ValueError("policy: " + "; ".join(problems))
    return clean


def pool_policy(policy: Mapping[str, Any], pool: str) -> Dict[str, Any]:
    """Return the settings of one pool: its own, else those of the checked `policy`."""
    whole: Dict[str, Any] = {key: policy[key] for key in POOL_NUMBERS}
    whole.update(required=policy["default_required"], judged=SHARE, unit=UNITS[0])
    whole.update(policy["pools"].get(pool, {}))
    return whole


def _pool(given: Any, where: str, problems: List[str]) -> Dict[str, Any]:
    if not isinstance(given, Mapping):
        problems.append("%s: wanted an object, got %s" % (where, _shown(given)))
        return {}
    clean: Dict[str, Any] = {}
    for key in sorted(given, key=str):
        path = "%s.%s" % (where, _name(key, problems))
        if key in POOL_NUMBERS:
            clean[key] = _number(given[key], key, path, problems)
        elif key in ("required", "few_clients_fail"):
            clean[key] = _flag(given[key], path, problems)
        elif key in ("judged", "unit"):
            wanted = (SHARE, REQUESTS_ONLY) if key == "judged" else UNITS
            if given[key] not in wanted:
                got = _shown(given[key])
                problems.append("%s: wanted %s, got %s" % (path, " or ".join(wanted), got))
            clean[key] = given[key]
        elif key in QUEUE_NUMBERS:
            clean[key] = _between(given[key], QUEUE_NUMBERS[key], True, path, problems)
        elif key == "intended":
            clean[key] = _intended(given[key], path, problems)
        else:
            problems.append("%s: unknown key" % path)
    return clean


def _intended(given: Any, where: str, problems: List[str]) -> Dict[str, float]:
    if not isinstance(given, Mapping) or not 0 < len(given) <= MOST_INTENDED:
        problems.append("%s: wanted a share for each server, got %s" % (where, _shown(given)))
        return {}
    return {
        str(name): _between(
            given[name], (0.0, 1.0), False, "%s.%s" % (where, _name(name, problems)), problems
        )
        for name in sorted(given, key=str)
    }


def _shown(value: Any) -> str:
    """Give a caller's value for a message: short, and printable everywhere."""
    try:
        return ascii(value)[:80]
    except (ValueError, RecursionError):
        return type(value).__name__


def _name(key: Any, problems: List[str]) -> str:
    """Give a key as it is named in problems; one that UTF-8 cannot write is a problem itself."""
    name = str(key)
    try:
        name.encode()
    except UnicodeEncodeError:
        name = ascii(name)[1:-1]
        problems.append("%s: wanted a name of whole characters" % name[:80])
    return name[:200]


def _flag(value: Any, where: str, problems: List[str]) -> bool:
    if not isinstance(value, bool):
        problems.append("%s: wanted true or false, got %s" % (where, _shown(value)))
    return bool(value)


def _number(value: Any, key: str, where: str, problems: List[str]) -> float:
    _, least, most = NUMBERS[key]
    return _between(value, (least, most), key in WHOLE, where, problems)


def _between(
    value: Any, bounds: Tuple[float, float], whole: bool, where: str, problems: List[str]
) -> float:
    least, most = bounds
    kind = int if whole else (int, float)
    good = isinstance(value, kind) and not isinstance(value, bool)
    # An int of any size is finite; a float may not be.
    good = good and (isinstance(value, int) or math.isfinite(value))
    if not good or not least <= value <= most:
        word = "a whole number" if whole else "a number"
        wanted = "%s from %g to %g" % (word, least, most)
        problems.append("%s: wanted %s, got %s" % (where, wanted, _shown(value)))
        return least
    number: float = value
    return number
