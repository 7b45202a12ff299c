"""The rule of a `pass`: when a share is proved right, and how many requests that takes."""

from __future__ import annotations

import math
from typing import Mapping, Tuple

from .evidence import log_binary_e
from .inputs import intended_shares
from .segment import part_of_alpha
from .settings import DEFAULT_TOLERANCE


def prior_for(share: float, tolerance: float) -> Tuple[float, float]:
    """Return the Beta prior whose spread is the half width of the band around `share`.

    A mixture is tightest for deviations of about its own spread (Howard et al. 2021, arXiv
    1810.08240, section 3.5), and the deviation that a pass has to exclude is tolerance * share.
    """
    concentration = (1.0 - share) / (share * tolerance * tolerance)
    return concentration * share, concentration * (1.0 - share)


def proved_inside(count: int, requests: int, share: float, tolerance: float, limit: float) -> bool:
    """Return whether the confidence sequence of one server lies inside its band.

    The sequence is an interval, so it lies inside when both edges are rejected and the observed
    share is between them; no root has to be found.
    """
    low, high = max(0.0, 1.0 - tolerance) * share, (1.0 + tolerance) * share
    if not low * requests <= count <= high * requests:
        return False
    prior = prior_for(share, tolerance)
    return all(
        log_binary_e(count, requests, prior, edge) >= limit
        for edge in (low, high)
        if 0.0 < edge < 1.0
    )


def requests_to_pass(
    weights: Mapping[str, float],
    tolerance: float = DEFAULT_TOLERANCE,
    alpha: float = 0.01,
    *,
    random_draws: bool = False,
) -> int:
    """Return about how many requests a pool that is spread as intended needs for a `pass`.

    For planning bake times. Exact assignment (round robin) by default; `random_draws` allows each
    server two standard deviations of luck, as random or hashing assignment needs. Grows about as
    ln(servers/alpha) / (smallest share * tolerance^2): a pool of 200 servers needs tens of
    thousands, and where that is out of reach the answer of the watch is `inconclusive`.
    """
    shares = [share for share in intended_shares(weights).values() if share > 0.0]
    if len(shares) < 2:
        return 1
    limit = math.log(len(shares) / (alpha * part_of_alpha(1)))
    # The smallest share has the fewest requests, so it is last.
    share = min(shares)
    most = 1
    while not _would_pass(share, most, tolerance, limit, random_draws) and most < 2**60:
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        if _would_pass(share, middle, tolerance, limit, random_draws):
            most = middle
        else:
            least = middle
    return most


def _would_pass(
    share: float, requests: int, tolerance: float, limit: float, random_draws: bool
) -> bool:
    luck = 2.0 * math.sqrt(requests * share * (1.0 - share)) if random_draws else 0.0
    counts = (round(requests * share - luck), round(requests * share + luck))
    return all(proved_inside(max(0, count), requests, share, tolerance, limit) for count in counts)
