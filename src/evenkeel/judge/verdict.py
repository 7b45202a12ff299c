"""The four verdicts and their order. Only `pass` goes on."""

from __future__ import annotations

from typing import Iterable

# Worst first: doubt has at least measured something.
FAIL, NO_DATA, INCONCLUSIVE, PASS = ORDER = ("fail", "no_data", "inconclusive", "pass")


def worst(verdicts: Iterable[str]) -> str:
    """Return the worst of `verdicts` (fail > no_data > inconclusive > pass).

    Nothing to judge is `no_data`, never `pass`. Raises ValueError for a word that is no verdict.
    """
    found = set(verdicts)
    unknown = sorted(str(word) for word in found if word not in ORDER)
    if unknown:
        raise ValueError("verdict: wanted one of %s, got %s" % (", ".join(ORDER), unknown))
    for word in ORDER:
        if word in found:
            return word
    return NO_DATA
