"""A normalised intent says everything and says it in one way."""

from __future__ import annotations

import json
from pathlib import Path

from evenkeel_proof.pages.intent_schema import SCHEMA_FILE, schema, text
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.intent.intents import intent, listener, pool
from unit.intent.strategies import intents

from evenkeel.intent import normalise, parse_intent

ROOT = Path(__file__).parents[3]


@settings(deadline=None, max_examples=50)
@given(intents())
def test_normalising_twice_changes_nothing(data):
    once = normalise(parse_intent(data))
    assert normalise(parse_intent(once)) == once
    assert json.loads(json.dumps(once)) == once


@settings(deadline=None, max_examples=50)
@given(intents(), st.randoms())
def test_the_order_of_keys_plays_no_part(data, random):
    def shuffled(value):
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert normalise(parse_intent(shuffled(data))) == normalise(parse_intent(data))


def test_fills_in_what_depends_on_the_mode_and_the_kind():
    data = intent(
        listeners=[listener(), listener("tcp", mode="tcp", binds=[{"port": 81}], default_pool="t")],
        pools=[
            pool(algorithm={"kind": "hash", "key": "uri"}, check={"kind": "http"}),
            pool("t", mode="tcp"),
        ],
    )
    full = normalise(parse_intent(data))
    assert [one["forwarded_for"] for one in full["listeners"]] == [True, False]
    assert full["pools"][0]["algorithm"]["consistent"] is True
    assert full["pools"][0]["check"]["expect_status"] == [200]
    assert full["pools"][1]["check"]["path"] is None


def test_takes_values_of_classes_that_only_extend_the_plain_ones():
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    class Mapping(dict):
        pass

    class Items(list):
        pass

    data = intent()
    data["pools"] = Items([Mapping(data["pools"][0])])
    data["pools"][0]["servers"][0].update(address=Text("10.9.9.9"), port=Number(99))
    first = parse_intent(Mapping(data)).pools[0].servers[0]
    assert (first.address, first.port) == ("10.9.9.9", 99)
    assert type(first.address) is str


def test_the_schema_for_editors_is_up_to_date():
    assert (ROOT / SCHEMA_FILE).read_text() == text(), (
        "run: python -m evenkeel_proof.pages.intent_schema"
    )


def test_the_schema_knows_keys_types_and_choices():
    server = schema()["$defs"]["Server"]
    assert server["additionalProperties"] is False
    assert server["properties"]["port"]["maximum"] == 65535
    assert server["properties"]["state"]["enum"] == ["active", "draining", "inactive"]
