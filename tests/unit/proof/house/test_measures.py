"""Each figure of the code counts what it says, on trees made for it."""

import pytest
from evenkeel_proof.house import comments, files, functions, imports, signatures, tolerance
from evenkeel_proof.house.tree import Tree

from evenkeel.errors import Refused


@pytest.fixture
def checkout(tmp_path):
    """Make a checkout of files, given by path, and give its tree."""

    def made(texts):
        for path, text in texts.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return Tree(tmp_path)

    return made


def product(**texts):
    """Files of src/evenkeel: `a__b` is a/b.py."""
    return {f"src/evenkeel/{name.replace('__', '/')}.py": text for name, text in texts.items()}


def test_lines_of_the_product_are_those_of_src_evenkeel_alone(checkout):
    tree = checkout(
        {**product(one="a = 1\n\n# why\n", host__two="b = 2\n"), "proof/evenkeel_proof/c.py": "c\n"}
    )
    assert files.product_lines(tree).value == 4


def test_the_fullest_folder_may_be_of_the_product_its_proof_or_a_role(checkout):
    texts = {**product(a="", b=""), "tests/unit/a.py": "", "src/evenkeel/text.j2": ""}
    assert files.files_most_in_a_folder(checkout(texts)).value == 2
    for folder in ("proof/evenkeel_proof", "roles/balancer_x/files"):
        texts |= {f"{folder}/{at}.py": "" for at in range(len(texts))}
        figure = files.files_most_in_a_folder(checkout(texts))
        assert figure.value == len(texts) - sum(not path.startswith(folder) for path in texts)
        assert folder in figure.causes[0]


def test_a_package_file_fills_its_folder_and_a_folder_below_does_not(checkout):
    tree = checkout(product(__init__="") | {"src/evenkeel/room/a.py": ""})
    assert files.files_most_in_a_folder(tree).value == 1


def test_a_file_name_counts_once_however_many_files_have_it(checkout):
    twice = {f"src/evenkeel/{room}/policy.py": "" for room in ("a", "b", "c")}
    given = {
        f"src/evenkeel/{room}/{name}.py": "" for room in "ab" for name in ("__init__", "__main__")
    }
    tree = checkout(
        twice
        | given
        | {"roles/r/files/line.py": "", "proof/evenkeel_proof/line.py": "", "tests/line.py": ""}
    )
    figure = files.file_names_used_twice(tree)
    assert figure.value == 2
    assert figure.causes[0].startswith("policy.py: src/evenkeel/a/policy.py ")


def test_a_test_with_the_name_of_its_module_is_no_second_use(checkout):
    tree = checkout(product(a="") | {"tests/unit/a.py": "", "roles/r/molecule/a.py": ""})
    assert files.file_names_used_twice(tree).value == 0


def test_depth_is_the_longest_chain_and_names_it(checkout):
    tree = checkout(
        product(
            top="from evenkeel import middle\nimport evenkeel.bottom\n",
            middle="def f():\n    from evenkeel.room.low import name\n",
            room__low="from ..bottom import x\n",
            bottom="import os\n",
        )
    )
    figure = imports.import_depth(tree)
    assert figure.value == 4
    assert figure.causes == [f"evenkeel.{name}" for name in ("top", "middle", "room.low", "bottom")]


def test_a_circle_is_one_link_of_a_chain(checkout):
    tree = checkout(
        product(
            top="import evenkeel.a\n",
            a="import evenkeel.b\n",
            b="import evenkeel.a\nimport evenkeel.c\n",
            c="",
        )
    )
    figure = imports.import_depth(tree)
    assert figure.value == 3
    assert "evenkeel.a = evenkeel.b" in figure.causes


def test_what_the_type_checker_alone_imports_is_no_link(checkout):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import evenkeel.b\n"
    tree = checkout(product(a=text, b=""))
    assert imports.import_depth(tree).value == 1
    assert imports.import_reach(tree).value == 0


def test_reach_counts_others_once_each_and_not_the_module_itself(checkout):
    tree = checkout(
        product(
            a="import evenkeel.b, evenkeel.c\n",
            b="import evenkeel.c\nimport evenkeel.a\n",
            c="import sys\n",
        )
    )
    figure = imports.import_reach(tree)
    assert figure.value == 2
    assert figure.causes[-1] == "0 evenkeel.c"


SINGLE = """
def run(items):
    return [_once(one) + _twice(one) + _twice(2) for one in items]

def _once(one):
    return one

def _twice(one):
    return one

def _never(one):
    return one
"""


def test_a_private_function_is_single_use_when_it_is_used_once_in_its_module(checkout):
    tree = checkout(product(a=SINGLE, b="from evenkeel.a import run\n"))
    figure = functions.single_use_private_percent(tree)
    assert figure.value == 25
    assert figure.causes == ["src/evenkeel/a.py:5: _once, 2 lines"]


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    return sorted([], key=_g)\n\ndef _g(x):\n    return x\n",
        "def f():\n    return _g(1)\n\ndef _g(x):\n    return x and _g(x - 1)\n",
        "class A:\n    def f(self):\n        self._g()\n\n    def _g(self):\n        pass\n",
        "def f():\n    return g()\n\ndef g():\n    return 1\n",
    ],
    ids=["named", "by_itself_too", "method", "without_underscore"],
)
def test_single_use_is_not_hidden_by(checkout, text):
    tree = checkout(product(a=text) | {"tests/test_a.py": "f()"})
    assert functions.single_use_private_percent(tree).value == 50


@pytest.mark.parametrize(
    "more", [{"tests/t.py": "g()"}, {"src/evenkeel/page.html.j2": "{{ g() }}"}], ids=str
)
def test_a_function_that_another_file_uses_is_not_private(checkout, more):
    text = "def f():\n    return g()\n\ndef g():\n    return 1\n"
    tree = checkout(product(a=text) | {"tests/f.py": "f()"} | more)
    assert functions.single_use_private_percent(tree).value == 0


def test_functions_of_roles_count_as_those_of_the_product(checkout):
    tree = checkout({"roles/r/files/a.py": SINGLE, "tests/run.py": "run()"})
    assert functions.single_use_private_percent(tree).value == 25


ALIASES = product(types="Data = dict[str, Any]\nRows = list[Data]\nFiles = dict[str, bytes]\n")


@pytest.mark.parametrize(
    "signature",
    [
        "(a: dict[str, Any])",
        "(a: Dict[str, Any])",
        "(*, a: Mapping[str, Any])",
        "(a) -> 'dict[str, Any]'",
        "(a: dict)",
        "(a: typing.Mapping[str, object])",
        "(a: list[dict[str, Any]] | None)",
        "(a: dict[str, list[Any]])",
        "(a: Callable[[dict[str, Any]], None])",
        "(**a: Mapping[str, Mapping[str, Any]])",
        "(a: Data)",
        "(a) -> Rows",
        "(a: types.Data)",
        "(a: dict[str, Here])",
        "(a: Any)",
    ],
)
def test_a_signature_is_untyped_with(checkout, signature):
    head = (
        "from evenkeel import types\nfrom evenkeel.types import Data, Rows\nHere = Optional[Any]\n"
    )
    text = f"{head}class A:\n    def f{signature}: ...\n\ndef typed(a: int) -> str: ...\n"
    tree = checkout(ALIASES | product(rehearsal__a=text))
    assert signatures.untyped_signatures_percent(tree, "rehearsal").value == 50


@pytest.mark.parametrize(
    "signature",
    [
        "(a: int) -> None",
        "(a: dict[str, int])",
        "(a: Mapping[str, Mapping[str, Measured]])",
        "(a: Files)",
        "(a: Measured)",
        "(a: Literal['dict', 'not a type'])",
        "(a: Annotated[float, Field(description='of a dict')])",
        "(a: object)",
        "(a: Callable[..., Any])",
    ],
)
def test_a_signature_is_typed_with(checkout, signature):
    head = "from evenkeel.types import Files\nclass Measured(TypedDict):\n    a: Any\n"
    tree = checkout(ALIASES | product(verbs__a=f"{head}def f{signature}: ...\n"))
    assert signatures.untyped_signatures_percent(tree, "verbs").value == 0


def test_a_public_function_without_a_reason_on_the_line_is_marked(checkout):
    text = (
        "def a(x: dict): ...\n"
        "def b(x: dict):  # the caller's own keys\n    ...\n"
        "def _c(x: dict):\n    ...\n"
        "def d(\n    x: dict,  # any JSON\n):\n    # why\n    ...\n"
        "def e(x: dict):\n    # why\n    ...\n"
    )
    causes = signatures.untyped_signatures_percent(checkout(product(verbs__a=text)), "verbs").causes
    marked = [cause.split(": ")[1] for cause in causes if cause.endswith(signatures.UNARGUED)]
    assert len(causes) == 5
    assert marked == ["a", "e"]


def test_rooms_are_measured_apart(checkout):
    tree = checkout(product(verbs__a="def f(a: dict): ...\n", rehearsal__a="def f(a: int): ...\n"))
    assert signatures.untyped_signatures_percent(tree, "verbs").value == 100
    assert signatures.untyped_signatures_percent(tree, "rehearsal").value == 0


def test_lines_of_comment_that_follow_each_other_are_one_comment(checkout):
    text = (
        '"""# no comment."""\n'
        "# one two three\n# four five\n"
        "a = 1  # six\n"
        "\n"
        "# seven\n"
        "b = '# none'  # noqa: S105 - a reason is for the tool\n"
        "c = 1  # fmt: skip\n"
    )
    tree = checkout(product(a=text))
    assert comments.words_per_comment(tree).value == round(7 / 3, 1)


def test_a_comment_of_more_than_nine_words_is_listed_with_its_first_line(checkout):
    long = "#" + " word" * 5 + "\n"
    tree = checkout(product(a=f"\n{long}{long}") | {"roles/r/files/b.py": "#" + " word" * 9 + "\n"})
    figure = comments.words_per_comment(tree)
    assert figure.value == 9.5
    assert figure.causes == ["10 src/evenkeel/a.py:2: " + " ".join(["word"] * 10)]


MODEL = product(
    intent__model="class Guardrails:\n    share_tolerance: float = Field(0.3, description='x')\n"
)


@pytest.mark.parametrize(
    "text",
    [
        "def f(a, tolerance=0.3): ...",
        "def f(*, b, tolerance: float = 0.3): ...",
        "TOLERANCE = 0.3",
        "class A:\n    tolerance: float = 0.3",
        "x = {'share_tolerance': 0.3}",
        "KEYS = {'tolerance': (0.3, 1e-6, 100.0)}",
        "f(tolerance=0.3)",
        "f.get('share_tolerance', 0.3)",
        "assert f.tolerance == 0.3",
        "def f(share_tolerance_percent=30): ...",
    ],
)
@pytest.mark.parametrize(
    "path", ["src/evenkeel/a.py", "roles/r/files/a.py", "proof/evenkeel_proof/a.py"]
)
def test_the_number_beside_the_name_is_a_copy_of_the_default(checkout, path, text):
    assert tolerance.files_naming_the_tolerance_default(checkout(MODEL)).value == 1
    tree = checkout(MODEL | {path: text})
    assert tolerance.files_naming_the_tolerance_default(tree).value == 2


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/evenkeel/a.py", "affinity_share_tolerance = 0.75\nWAIT = 0.3\n"),
        ("src/evenkeel/a.py", "def f(tolerance, seconds=0.3): ..."),
        ("src/evenkeel/a.py", "from x import DEFAULT\nTOLERANCE = DEFAULT\n"),
        ("tests/a.py", "judge = Judge({'tolerance': 0.3})"),
        ("docs/decisions/0001-a.md", "The tolerance is 30 %."),
        ("docs/a.md", "One gets 30 % instead of 20 %, more than the tolerance."),
        ("docs/a.md", "A sample:\n\n    {'tolerance': 0.3}\n"),
        (
            "docs/a.md",
            "The tolerance is wide. Of errors, 0.3 % are usual: the band is 0.35 or 130 %.",
        ),
    ],
)
def test_what_need_not_change_with_the_default_is_no_copy(checkout, path, text):
    tree = checkout(MODEL | {path: text})
    assert tolerance.files_naming_the_tolerance_default(tree).value == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tests/a.py", "assert guards['share_tolerance'] == 0.3"),
        ("docs/a.md", "within the tolerance (default 30 %, relative)"),
        ("docs/a.md", "the default guardrails (tolerance\n30 %, alpha 1 %)"),
        ("README.md", "- `share_tolerance` (a number, default `0.3`)"),
        ("docs/a.json", '{\n  "share_tolerance": {\n      "default": 0.3\n'),
    ],
)
def test_tests_that_expect_the_default_and_pages_that_give_it_count(checkout, path, text):
    tree = checkout(MODEL | {path: text})
    assert tolerance.files_naming_the_tolerance_default(tree).value == 2


def test_a_file_counts_once_however_often_it_names_the_default(checkout):
    tree = checkout(MODEL | product(a="TOLERANCE = 0.3\n\ndef f(tolerance=0.3): ...\n"))
    figure = tolerance.files_naming_the_tolerance_default(tree)
    assert figure.value == 2
    assert figure.causes[0] == "src/evenkeel/a.py:1: 2 in this file"


def test_another_default_is_looked_for_when_the_model_has_another(checkout):
    model = {path: text.replace("0.3", "0.25") for path, text in MODEL.items()}
    tree = checkout(model | {"docs/a.md": "tolerance: 25 %", "docs/b.md": "tolerance: 30 %"})
    figure = tolerance.files_naming_the_tolerance_default(tree)
    assert [cause.split(":")[0] for cause in figure.causes] == [
        "src/evenkeel/intent/model.py",
        "docs/a.md",
    ]


@pytest.mark.parametrize("said", ["DEFAULT", "settings.DEFAULT"])
def test_a_default_with_a_name_is_counted_where_the_name_gets_its_number(checkout, said):
    texts = product(
        intent__model="from evenkeel import settings\nfrom evenkeel.settings import DEFAULT\n\n"
        f"class Guardrails:\n    share_tolerance: float = Field({said}, description='x')\n",
        settings="\nDEFAULT = 0.4\n",
    )
    figure = tolerance.files_naming_the_tolerance_default(checkout(texts))
    assert figure.causes == ["src/evenkeel/settings.py:2: 1 in this file"]


def test_a_default_that_has_moved_away_is_refused_and_not_counted_as_none(checkout):
    with pytest.raises(Refused, match="No default of share_tolerance"):
        tolerance.files_naming_the_tolerance_default(checkout(product(intent__model="x = 1\n")))


@pytest.mark.parametrize("text", ["def (:\n", "a = '\0'\n"])
def test_a_file_that_is_not_python_is_named(checkout, text):
    with pytest.raises(Refused, match=r"A file is not Python\n  where:  src/evenkeel/a.py"):
        imports.import_depth(checkout(product(a=text)))
