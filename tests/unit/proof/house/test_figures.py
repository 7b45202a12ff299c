"""Each figure of the house counts what it says, on trees made for it."""

from pathlib import Path

import pytest
from evenkeel_proof.commands.house import value_of
from evenkeel_proof.house import functions, imports, tolerance, words
from evenkeel_proof.house.code import Source, product, with_roles
from evenkeel_proof.house.figures import Figure, measure

ROOT = Path(__file__).parents[4]


@pytest.fixture
def tree(tmp_path: Path):
    """Write files of the package by their path below src/evenkeel."""

    def write(**files: str) -> list[Source]:
        for name, text in files.items():
            path = (
                tmp_path
                / "src"
                / "evenkeel"
                / f"{name if '/' in name else name.replace('__', '/')}.py"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return product(tmp_path)

    return write


def test_the_longest_chain_follows_the_imports_that_run_at_import(tree) -> None:
    graph = imports.graph(
        tree(
            a="from evenkeel import b\n",
            b="if True:\n    from evenkeel.c import x\n",
            c="def late():\n    from evenkeel import d\n",
            d="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from evenkeel import a\n",
        )
    )
    assert imports.longest_chain(graph) == ["evenkeel.a", "evenkeel.b", "evenkeel.c"]
    assert imports.widest(graph) == ("evenkeel.a", {"evenkeel.b", "evenkeel.c"})


def test_a_circle_ends(tree) -> None:
    graph = imports.graph(tree(a="from evenkeel import b\n", b="from evenkeel import a\n"))
    assert len(imports.longest_chain(graph)) == 2


def test_a_private_function_counts_when_its_module_names_it_once(tree) -> None:
    (file,) = tree(
        a="def _once(): pass\ndef _twice(): pass\ndef _never(): pass\ndef public(): pass\n"
        "class C:\n    def _method(self): pass\n    def __init__(self): self._method()\n"
        "_once(); _twice(); _twice(); public()\n"
    )
    names = [one.split()[1] for one in functions.single_use(file)]
    assert names == ["_once", "_method"]


@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        ("dict[str, Any]", True),
        ("Mapping[str, Any] | None", True),
        ("list[Dict[str, Any]]", True),
        ("dict", True),
        ("'dict[str, Any]'", True),
        ("Data", True),
        ("Iterable[Mapping[str, Data]]", True),
        ("dict[str, int]", False),
        ("World", False),
        ("Any", False),
        ("'1.0'", False),
    ],
)
def test_a_signature_is_untyped_when_a_dict_in_it_has_no_shape(tree, annotation, wanted) -> None:
    head = "from typing import Any\nfrom evenkeel.b import Data\n"
    files = tree(a=f"{head}def f(x: {annotation}) -> None: ...\n", b="Data = dict[str, Any]\n")
    known = functions.aliases(files)
    (function,) = files[0].functions()
    types = functions.written_types(function)
    assert any(functions.is_untyped(one, known["evenkeel.a"]) for one in types) is wanted


def test_lines_of_comment_that_follow_each_other_are_one_comment(tree) -> None:
    (file,) = tree(
        a="#!/usr/bin/python3\n# one two\n# three\n\n# four\nx = 1  # five\n# six\n"
        "y = 2  # noqa: E501\nz = 3  # type: ignore[x]\n"
    )
    assert [text for _, text in words.comments(file)] == ["one two three", "four", "five", "six"]


def test_a_file_name_counts_once_however_many_files_have_it(tree) -> None:
    tree(a__policy="", b__policy="", c__policy="", a__x="")
    files = tree(**{"a/__init__": "", "b/__init__": ""})
    assert list(words.names_used_twice(files)) == ["policy.py"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("def f(tolerance=0.3): pass", True),
        ("def f(*, share_tolerance_percent: float = 30): pass", True),
        ("class C:\n    tolerance: float = 0.3", True),
        ("DEFAULT_TOLERANCE = 30", True),
        ("x = rails.get('share_tolerance_percent', 30)", True),
        ("x = {'tolerance': 0.3}", True),
        ("def f(tolerance): pass\ntimeout = 30", False),
        ("f(tolerance=0.2)", False),
    ],
)
def test_code_names_the_default_by_a_number_beside_the_word(tree, tmp_path, text, wanted) -> None:
    tree(a=text)
    assert bool(tolerance.files_naming_it(tmp_path)) is wanted


def test_a_page_names_the_default_beside_the_word_and_a_decision_does_not_count(tmp_path) -> None:
    for name in ("docs/a.md", "docs/decisions/1.md", "docs/b.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        said = "a timeout of 30 %" if name.endswith("b.md") else "the tolerance is 30 %"
        (tmp_path / name).write_text(said)
    assert tolerance.files_naming_it(tmp_path) == ["docs/a.md"]


def test_what_json_writes_has_every_key_of_the_table() -> None:
    value = value_of(measure(ROOT))
    assert set(value) == {
        "files_most_in_a_folder",
        "file_names_used_twice",
        "files_naming_the_tolerance_default",
        "import_depth",
        "import_reach",
        "missed",
        "product_lines",
        "single_use_private_percent",
        "untyped_signatures_percent",
        "words_per_comment",
    }
    assert set(value["untyped_signatures_percent"]) == {"rehearsal", "verbs"}


def test_a_missed_target_is_named() -> None:
    rows = [Figure("a.x", "", 15, 15, [], below=True), Figure("b", "", 20, 20, [])]
    assert value_of(rows) == {"a": {"x": 15}, "b": 20, "missed": ["a.x"]}


def test_roles_are_read_too() -> None:
    assert any(file.path.startswith("roles/") for file in with_roles(ROOT))
