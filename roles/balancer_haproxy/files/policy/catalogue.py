"""The policy rules for HAProxy: what is wrong in the files of a release that no traffic shows.

The same files give the same findings. Rules see the files that HAProxy gets, so they also judge a
user's own template, lines under `extra` and a handwritten configuration.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from evenkeel.balancer.types import CatalogueEntry, Finding

from ..config.parser import read
from . import (
    balancing,
    clients,
    disguises,
    hashing,
    health_checks,
    limits,
    listeners,
    regressions,
    requests,
    timeouts,
    tls_names,
)
from .renames import follow
from .rule import BOOK

# The order of the catalogue.
_MODULES = (
    health_checks,
    balancing,
    listeners,
    regressions,
    clients,
    hashing,
    limits,
    tls_names,
    requests,
    timeouts,
    disguises,
)


def rules(files: Mapping[str, Any], base_files: Optional[Mapping[str, Any]]) -> List[Finding]:
    """Give what breaks a rule in `files` (name to text or bytes); `base_files` are live now.

    Without a base (None) everything is new.
    """
    now = read(files)
    before = read(base_files) if base_files else None
    if before is not None:
        follow(now, before)
    return BOOK.findings(now, before)


def catalogue() -> List[CatalogueEntry]:
    """Give every rule, in the order of its kind."""
    return BOOK.catalogue(_MODULES)
