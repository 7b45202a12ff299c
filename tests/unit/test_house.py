"""The code stays easy to find one's way in: each figure of scripts/house is within its target."""

from pathlib import Path

import pytest
from evenkeel_proof.house.figures import MEASURES
from evenkeel_proof.house.signatures import UNARGUED
from evenkeel_proof.house.tree import Tree

TREE = Tree(Path(__file__).parents[2])
# The most that each figure may be, or what it has to be below.
TARGETS = {
    "product_lines": "<= 29500",
    "files_most_in_a_folder": "<= 20",
    "import_depth": "<= 12",
    "import_reach": "<= 90",
    "single_use_private_percent": "< 15",
    "untyped_signatures_percent.rehearsal": "< 15",
    "untyped_signatures_percent.verbs": "< 25",
    "file_names_used_twice": "<= 12",
    "words_per_comment": "<= 9",
    "files_naming_the_tolerance_default": "<= 4",
}


# Two targets are not reached (decision 21 says why): until then neither figure may grow.
NOT_REACHED = {"product_lines": 31_400, "single_use_private_percent": 24.0}


def test_every_figure_has_the_target_that_is_held_here():
    assert {key: str(measure.target) for key, measure in MEASURES.items()} == TARGETS


@pytest.mark.parametrize("key", sorted(TARGETS.keys() - NOT_REACHED.keys()))
def test_the_figure_is_within_its_target(key):
    _, figure, target = MEASURES[key]
    value, causes = figure(TREE)
    assert target.holds(value), "\n".join([f"{value:g}, wanted {target}", *causes[:20]])


@pytest.mark.parametrize("key", NOT_REACHED)
def test_a_figure_that_misses_its_target_does_not_grow(key):
    value, causes = MEASURES[key].figure(TREE)
    assert value <= NOT_REACHED[key], "\n".join([f"{value:g}", *causes[:20]])


@pytest.mark.parametrize("room", ["rehearsal", "verbs"])
def test_a_public_function_with_an_untyped_dict_says_why_on_its_line(room):
    causes = MEASURES[f"untyped_signatures_percent.{room}"].figure(TREE).causes
    assert not [cause for cause in causes if cause.endswith(UNARGUED)]
