"""Claims about scripts/house: the figures under their keys, and an exit that says which missed."""

import json

import pytest
from evenkeel_proof.commands import house
from evenkeel_proof.house.figures import MEASURES

from evenkeel.errors import EXIT_OK

KEYS = {
    "product_lines",
    "files_most_in_a_folder",
    "import_depth",
    "import_reach",
    "single_use_private_percent",
    "untyped_signatures_percent",
    "file_names_used_twice",
    "words_per_comment",
    "files_naming_the_tolerance_default",
}
MODEL = "class Guardrails:\n    share_tolerance: float = Field(0.3)\n"


@pytest.fixture
def small(tmp_path):
    """A checkout so small that every target holds."""
    for path, text in (
        ("intent/model.py", MODEL),
        ("rehearsal/a.py", "def f(a: int) -> int: ...\n"),
        ("verbs/b.py", "def g(a: int) -> int: ...\n"),
    ):
        file = tmp_path / "src" / "evenkeel" / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path


def test_figures_within_their_targets_end_with_0_and_are_written_under_their_keys(
    small, tmp_path, capsys
):
    file = tmp_path / "house.json"
    assert house.main(["--root", str(small), "--json", str(file)]) == EXIT_OK
    written = json.loads(file.read_text())
    assert set(written) == KEYS
    assert written["product_lines"] == 4
    assert written["untyped_signatures_percent"] == {"rehearsal": 0, "verbs": 0}
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 + len(MEASURES)
    assert printed[1].split()[-3:] == ["4", "<=", "29500"]


def test_a_missed_target_is_named_and_the_figures_are_written_all_the_same(small, tmp_path, capsys):
    (small / "src/evenkeel/verbs/b.py").write_text("def g(a: dict) -> int: ...\n")
    file = tmp_path / "house.json"
    with pytest.raises(house.Missed) as missed:
        house.main(["--root", str(small), "--json", str(file)])
    assert missed.value.exit_code == 1
    assert missed.value.wanted == "untyped_signatures_percent.verbs < 25"
    assert missed.value.got == "100"
    assert "scripts/house --show untyped_signatures_percent.verbs" in missed.value.next_step
    assert json.loads(file.read_text())["untyped_signatures_percent"]["verbs"] == 100
    assert [line for line in capsys.readouterr().out.splitlines() if line.endswith("missed")]


@pytest.mark.parametrize("key", ["untyped_signatures_percent", "untyped_signatures_percent.verbs"])
def test_show_lists_what_makes_up_a_figure(small, capsys, key):
    (small / "src/evenkeel/verbs/b.py").write_text("def g(a: dict) -> int: ...\n")
    assert house.main(["--root", str(small), "--show", key]) == EXIT_OK
    assert capsys.readouterr().out.startswith("src/evenkeel/verbs/b.py:1: g: a")


@pytest.mark.parametrize("arguments", [["--show", "beauty"], ["--root", "/nowhere"]])
def test_what_cannot_be_measured_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        house.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err
