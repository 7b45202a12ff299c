"""The inventory to copy is one that works."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evenkeel.change.bundle import render_fleet
from evenkeel.forecast import forecast
from evenkeel.intent import normalise, parse_intent

ROOT = Path(__file__).parents[3]
INTENT = ROOT / "inventories" / "example" / "group_vars" / "balancers" / "intent.yml"


@pytest.fixture
def example():
    return yaml.safe_load(INTENT.read_text())["intent"]


def test_the_example_is_accepted_and_rendered(example):
    bundle = render_fleet({"lb1": example}, role_dir=ROOT / "roles" / "balancer_haproxy")
    assert b"use_backend images if" in bundle.files["lb1"]["haproxy.cfg"]


def test_the_example_keeps_its_own_guardrails(example):
    assert forecast(None, normalise(parse_intent(example)))["guardrails"] == []
