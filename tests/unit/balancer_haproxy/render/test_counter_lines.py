"""Lines that count clients of a hash send nobody anywhere."""

from __future__ import annotations

import pytest

from evenkeel.balancer.dialect import load_dialect
from evenkeel.containers.names import ROOT

DIALECT = load_dialect(ROOT / "roles" / "balancer_haproxy")
HASHES = (ROOT / "tests" / "golden" / "haproxy" / "hashes" / "haproxy.cfg").read_text()


def test_a_table_that_only_counts_contradicts_no_hash() -> None:
    assert "stick store-request" in HASHES
    assert DIALECT.spread_overrides({"haproxy.cfg": HASHES}) == {}


@pytest.mark.parametrize("word", ["on", "match"])
def test_a_table_that_clients_follow_does(word: str) -> None:
    text = HASHES.replace("stick store-request", f"stick {word}")
    assert "by_source" in DIALECT.spread_overrides({"haproxy.cfg": text})
