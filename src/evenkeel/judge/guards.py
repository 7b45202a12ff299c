"""Guards that need no statistics: what is wrong whatever the traffic's luck was.

Each function returns one sentence for a person, or None when there is nothing to say.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

# Fewer open connections are no load.
CONNECTIONS_TO_COMPARE = 100


def burst_problem(
    pool: str, errors: int, requests: int, least_errors: int, most_percent: float
) -> Optional[str]:
    """Return what is wrong with the errors of one interval: many, and more than `most_percent`."""
    if errors < least_errors or errors <= most_percent * requests / 100.0:
        return None
    return "pool %s: %d errors in one interval with %d requests, wanted at most %g %%" % (
        pool, errors, requests, most_percent,
    )  # fmt: skip


def active_problem(pool: str, active: int, wanted: int) -> Optional[str]:
    """Return what is wrong when fewer servers than `wanted` are in service."""
    if active >= wanted:
        return None
    return "pool %s has %d active servers, wanted at least %d" % (pool, active, wanted)


def silent_problem(
    pool: str,
    names: Sequence[str],
    shares: Sequence[float],
    counts: Sequence[int],
    requests: int,
    expected: float,
) -> Optional[str]:
    """Return which server got nothing of `requests` though its share of them is `expected`."""
    for name, share, count in zip(names, shares, counts):
        if count == 0 and share * requests >= expected:
            return "server %s of pool %s was sent nothing, wanted about %d requests" % (
                name, pool, share * requests,
            )  # fmt: skip
    return None


def few_clients_problem(
    pool: str,
    names: Sequence[str],
    shares: Sequence[float],
    requests: Sequence[int],
    clients: int,
    expected: float,
) -> Optional[str]:
    """Return what is wrong when there are fewer clients than servers, and so a server gets nothing.

    For pools that assign clients and count all of them, not only new ones. Whatever the luck, they
    cannot be spread over the servers `names`; `requests` are those of each server, and the due of
    the silent one is at least `expected`.
    """
    if clients >= len(names):
        return None
    total = sum(requests)
    for name, share, count in zip(names, shares, requests):
        if count == 0 and share * total >= expected:
            return (
                "server %s of pool %s was sent nothing, wanted about %d requests: all %d came from "
                "%d client%s, fewer than the %d servers"
            ) % (name, pool, share * total, total, clients, "s" * (clients != 1), len(names))
    return None


def worker_problem(former: Optional[Mapping[str, Any]], now: Mapping[str, Any]) -> Optional[str]:
    """Return what is wrong when the worker of `former` still serves: nothing was taken over.

    `former` is what was observed before the change was made live; None when nothing was.
    """
    keys = ("worker_pid", "worker_started")
    if former is None or any(former[key] != now[key] for key in keys):
        return None
    return "worker %s, started before the change, still serves; wanted a new one" % now[keys[0]]


def queue_problem(pool: str, queued: Sequence[int], most: int, samples: int) -> Optional[str]:
    """Return what is wrong when each of the latest `samples` of `queued` exceeds `most`.

    One full queue is a moment, several in a row are a pool that cannot keep up.
    """
    latest = list(queued)[-samples:] if samples > 0 else []
    if not latest or len(latest) < samples or min(latest) <= most:
        return None
    return "pool %s: at least %d requests queued in %d samples in a row, wanted at most %d" % (
        pool, min(latest), samples, most,
    )  # fmt: skip


def connections_problem(open_now: int, controls: Sequence[int], most_ratio: float) -> Optional[str]:
    """Return what is wrong when the canary holds more connections than its largest control.

    `controls` are the open connections of control hosts at the same moment. More than `most_ratio`
    times the largest of them, and than CONNECTIONS_TO_COMPARE, means that they are not let go.
    """
    if not controls or open_now <= max(CONNECTIONS_TO_COMPARE, most_ratio * max(controls)):
        return None
    return "%d connections are open, %d on the busiest control host, wanted at most %g times" % (
        open_now, max(controls), most_ratio,
    )  # fmt: skip
