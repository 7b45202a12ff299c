"""The documents say what there is: links, scripts, playbooks, records, keys and words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from evenkeel_proof.commands import demo
from evenkeel_proof.pages import intent_reference

from evenkeel.change import policy_page
from evenkeel.change.folder import ChangeFolder
from evenkeel.host import arguments
from evenkeel.host.system.driver import CAPABILITY_NAMES
from evenkeel.intent import parse_intent

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "molecule").glob("*/README.md")])
# Words that the vocabulary tells us not to use for a thing, and that have an ordinary sense too.
ORDINARY = {
    "backup", "batch", "config", "hash", "limit", "load", "output", "phase", "plan",
    "ratio", "release", "result", "rule", "spec", "status", "threshold", "timeout", "timer",
    "update", "version",
}  # fmt: skip


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def all_text() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        assert ROOT in other.parents, f"{target} leaves the repository"
        if anchor:
            assert anchor in anchors(other), target


def test_every_script_and_playbook_is_named_in_the_documents_and_every_named_one_exists():
    text = all_text()
    for folder, pattern in (("scripts", r"[a-z_]+"), ("playbooks", r"[a-z_]+\.yml")):
        there = {path.name for path in (ROOT / folder).iterdir() if path.is_file()}
        said = set(re.findall(rf"\b{folder}/({pattern})", text))
        assert said == there, folder


def test_every_page_is_listed_in_the_index():
    listed = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "README.md").read_text()))
    for page in DOCS.rglob("*.md"):
        if page.name != "README.md":
            assert page.relative_to(DOCS).as_posix() in listed, page.name


def written() -> set[str]:
    """Every text in the code, with <> for what an f-string puts in."""
    found: set[str] = set()
    for path in (ROOT / "src" / "evenkeel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(node.value.split("/"))
            elif isinstance(node, ast.JoinedStr):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else "<>"
                    for part in node.values
                ]
                found.update("".join(parts).split("/"))
    return found


def folder_of_a_change() -> list[str]:
    """The paths that change-folder.md draws, with <> for what is in angle brackets."""
    text = (DOCS / "reference" / "change-folder.md").read_text()
    drawn = re.search(r"^    changes/[\w-]+/\n((?:      \S.*\n)+)", text, re.M)
    assert drawn
    names = [line.split()[0].rstrip("/") for line in drawn[1].splitlines()]
    return [re.sub(r"<\w+>", "<>", name) for name in names]


def test_every_file_in_the_drawn_folder_of_a_change_is_written_by_the_code():
    texts = written() | {"<>"}
    for path in folder_of_a_change():
        for part in path.split("/"):
            # A signature is the name of what it signs with an ending.
            assert part in texts or part.removesuffix(".sig") in texts, path


def test_every_place_in_the_folder_of_a_change_is_drawn():
    folder = ChangeFolder(Path("/c/x"))
    places = [
        value
        for name, kind in vars(ChangeFolder).items()
        if isinstance(kind, property) and isinstance(value := getattr(folder, name), Path)
    ]
    places += [folder.stage_json(1), folder.stage_results(1)]
    drawn = folder_of_a_change()
    for place in places:
        wanted = place.relative_to(folder.path).as_posix().replace("/1", "/<>")
        assert any(path == wanted or path.startswith(f"{wanted}/") for path in drawn), wanted


def test_every_verb_and_option_of_the_on_host_program_is_documented():
    page = (DOCS / "reference" / "on-host-program.md").read_text()
    for verb, options in arguments.VERBS.items():
        assert f"| `{verb}` |" in page, verb
        for option in options:
            assert f"--{option}" in page, f"{verb} --{option}"


def test_every_capability_and_driver_method_is_documented():
    from evenkeel.host.system.driver import Driver

    page = (DOCS / "how-to" / "add-a-balancer.md").read_text()
    methods = [name for name in vars(Driver) if not name.startswith("_")]
    for name in [*CAPABILITY_NAMES, *methods]:
        assert re.search(rf"`{name}[`(]", page), name


def test_every_inventory_variable_of_a_playbook_is_documented():
    page = (DOCS / "reference" / "variables.md").read_text()
    sources = [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "roles").glob("*/tasks/render.yml")]
    for path in sources:
        text = path.read_text()
        for name in re.findall(r"\{\{ (\w+) \| default\(", text):
            assert f"`{name}`" in page, f"{named(path)}: {name}"


def test_the_reference_of_the_intent_is_up_to_date():
    path = ROOT / intent_reference.REFERENCE_FILE
    assert path.read_text() == intent_reference.text(), (
        "run: python -m evenkeel_proof.pages.intent_reference"
    )


def test_the_readme_shows_how_every_step_of_the_demo_ended():
    readme = (ROOT / "README.md").read_text()
    for title, _ in demo._steps(Mock()):
        assert f"| {title} | " in readme, title


def test_the_example_of_the_guide_is_an_intent():
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", (DOCS / "how-to" / "write-an-intent.md").read_text(), re.M | re.S
    )
    assert len(blocks) == 1
    assert parse_intent(yaml.safe_load(blocks[0])["intent"]).pools[0].name == "web"


def second_words() -> set[str]:
    rows = (
        line.strip("|").split("|")
        for line in (DOCS / "reference" / "vocabulary.md").read_text().splitlines()
    )
    cells = [row[2] for row in rows if len(row) == 3]
    words = {word.strip() for cell in cells[2:] for word in cell.split(",")}
    return {word for word in words if re.fullmatch("[a-z]+", word)}


def names_in(path: Path) -> Iterator[str]:
    """Every name that a file gives to something, word by word."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.append(node.id if isinstance(node, ast.Name) else node.attr)
        for name in names:
            yield from (word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name))


def test_no_name_in_our_code_is_a_second_word_for_a_thing():
    kept_out = second_words() - ORDINARY
    assert {"wave", "node", "baseline", "frontend"} <= kept_out
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "proof").rglob("*.py")]):
        found = kept_out & set(names_in(path))
        assert not found, f"{named(path)}: {', '.join(found)}: see docs/reference/vocabulary.md"


def test_the_page_of_policy_rules_is_up_to_date():
    page = ROOT / policy_page.PAGE_FILE
    assert page.read_text() == policy_page.text(ROOT), "run: python -m evenkeel.change.policy_page"
