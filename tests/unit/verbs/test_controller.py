"""Every verb of the table has a function, and the playbooks name no other verb."""

import inspect
import re

import pytest

from evenkeel.containers.names import ROOT
from evenkeel.verbs.controller import VERBS

SOURCES = [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "roles").glob("*/tasks/render.yml")]


@pytest.mark.parametrize("word", VERBS)
def test_a_verb_is_one_function_of_the_context(word):
    parameters = inspect.signature(VERBS[word].load()).parameters.values()
    assert [one.annotation for one in parameters] == ["Context"]


def test_the_playbooks_run_every_verb_of_the_table_and_no_other():
    texts = [path.read_text() for path in SOURCES]
    assert {verb for text in texts for verb in
            re.findall(r"evenkeel_change:\n\s+verb: (\w+)", text)} == set(VERBS)  # fmt: skip
