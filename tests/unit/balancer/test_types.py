"""The shapes of the contract are those of the intent, and of what a role really gives."""

from pathlib import Path
from typing import get_type_hints

import pytest

from evenkeel.balancer.dialect import load_dialect
from evenkeel.balancer.types import CatalogueEntry, Check, Finding, HandwrittenReading
from evenkeel.intent import model

ROOT = Path(__file__).parents[3]
ROLES = sorted((ROOT / "roles").glob("balancer_*"))
TEXT = (
    b"frontend www\n    bind :80\n    default_backend app\nbackend app\n    server a 10.0.0.1:80\n"
)


def test_a_check_has_every_option_of_the_intent():
    assert set(get_type_hints(Check)) == set(model.Check.model_fields)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_a_role_gives_has_the_keys_of_the_contract(role):
    dialect = load_dialect(role)
    files = dict.fromkeys(dialect.files, TEXT)
    reading = dialect.handwritten(files)
    assert set(reading) == set(get_type_hints(HandwrittenReading))
    assert {frozenset(one) for one in dialect.catalogue()} == {
        frozenset(get_type_hints(CatalogueEntry))
    }
    found = dialect.rules(files, None)
    assert found and {frozenset(one) for one in found} == {frozenset(get_type_hints(Finding))}
    for pool in reading["pools"]:
        assert set(pool["check"]) == set(get_type_hints(Check))
