"""The files, commands, options and variables that a message or a page names exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from evenkeel.host import arguments

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "molecule").glob("*/README.md")]
)
# Both may name what was there at their time.
HISTORY = {ROOT / "CHANGELOG.md", *(ROOT / "docs" / "decisions").glob("*.md")}
FOLDERS = (
    "docs", "scripts", "playbooks", "inventories", "roles", "src", "proof", "plugins", "molecule",
    "packaging", "bench", "tests",
)  # fmt: skip
# What the documents tell a reader to make.
EXAMPLES = re.compile(r"inventories/mine\b")
# A folder counts where it is named from the root of the checkout: alone, or after a variable.
PATH = re.compile(rf"(?:(?<=<>/)|(?<![\w./<>-]))(?:{'|'.join(FOLDERS)})/[\w./<>*-]*[\w>*]")
PAGE = re.compile(r"(?<![\w/.<>-])[a-zA-Z][\w-]*\.md\b")
MODULE = re.compile(r"python3? (?:-P )?-m (evenkeel[\w.]*\w)")
COMMAND = re.compile(r"(?<![\w.-])scripts/(?P<name>[a-z_]+)(?P<rest>[^\n`;|#()]*)")
VARIABLE = re.compile(r"(?<!\w)(?:-e|--extra-vars)[ =]['\"]?([a-z]\w*)=")
HOST_COMMAND = re.compile(r"evenkeel-host --balancer \S+ (?P<verb>[a-z]+)(?P<rest>[^\n`;|#()]*)")
OPTION = re.compile(r"(?<!\S)(--?[a-zA-Z][\w-]*)")
# Those of ansible-playbook that our messages use; Ansible is not there in unit tests.
OF_ANSIBLE = {"-i", "-e", "--limit", "--check", "--diff", "--forks", "--inventory", "-K"}
# Variables of Ansible's own.
ANSIBLE_VARIABLES = {"ansible_user", "ansible_ssh_private_key_file"}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources() -> list[Path]:
    """Every file of ours that may hold a message."""
    found = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    found += [path for path in (ROOT / "packaging").rglob("*") if path.is_file()]
    for folder in ("src", "proof", "roles", "playbooks", "plugins", "molecule", "bench"):
        for suffix in ("py", "yml", "j2"):
            found += (ROOT / folder).rglob(f"*.{suffix}")
    return sorted(found)


def texts_of_python(code: str) -> Iterator[str]:
    """Every string of Python code, with <> for what an f-string puts in."""
    tree = ast.parse(code)
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if id(node) in parts:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "<>" for part in node.values
            )


def text_of(path: Path) -> str:
    """What a file says, with <> for a value that is only known when it runs."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py" or text.startswith("#!/usr/bin/env python3"):
        return "\n".join(texts_of_python(text))
    text = re.sub(r"\{\{.*?\}\}|\$\{?\w+\}?", "<>", text)
    return text.replace('"', "")


@cache
def options_of(script: str) -> frozenset[str]:
    """The options and subcommands that a script knows, as far as its text and module say."""
    text = (ROOT / "scripts" / script).read_text(encoding="utf-8")
    if "evenkeel.commands.play" in text:
        return frozenset(OF_ANSIBLE)
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*|\b[a-z0-9]+\b", text))
    for module in re.findall(r"(?:-m|from) (evenkeel[\w.]*)", text):
        for path in _files_of(module):
            code = path.read_text(encoding="utf-8")
            # Commands share what adds their options.
            shared = re.findall(r"^from (evenkeel\w*\.commands) import", code, re.M)
            for other in [path, *(found for name in shared for found in _files_of(name))]:
                known.update(
                    said
                    for said in texts_of_python(other.read_text(encoding="utf-8"))
                    if re.fullmatch(r"-{0,2}[a-z][\w-]*", said)
                )
    return frozenset(known | {"--help"})


def _files_of(module: str) -> Iterator[Path]:
    for base in ("src", "proof"):
        path = ROOT.joinpath(base, *module.split("."))
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                yield candidate


def missing(text: str) -> list[str]:
    """Give each thing that the text names and that is not there."""
    gone = []
    for path in PATH.findall(text):
        pattern = re.sub(r"<\w*>", "*", path)
        if not EXAMPLES.match(path) and not list(ROOT.glob(pattern)):
            gone.append(path)
    pages = {page.name for page in PAGES}
    gone += [page for page in PAGE.findall(text) if page not in pages]
    gone += [module for module in MODULE.findall(text) if not list(_files_of(module))]
    variables = (ROOT / "docs" / "reference" / "variables.md").read_text(encoding="utf-8")
    for name in VARIABLE.findall(text):
        known = f"`{name}`" in variables or name in ANSIBLE_VARIABLES
        if not known and f"{name} | default(" not in text:
            gone.append(f"-e {name}=")
    return gone + list(_unknown_options(text))


def _unknown_options(text: str) -> Iterator[str]:
    for match in COMMAND.finditer(text):
        script, rest = match["name"], match["rest"]
        if not (ROOT / "scripts" / script).is_file():
            yield f"scripts/{script}"
            continue
        if script == "lab":
            words = rest.split()
            if words and re.fullmatch("[a-z]+", words[0]) and words[0] not in options_of(script):
                yield f"scripts/lab {words[0]}"
            rest = rest.split(" exec ")[0]
        for option in OPTION.findall(rest):
            if option not in options_of(script):
                yield f"scripts/{script} {option}"
    for match in HOST_COMMAND.finditer(text):
        if match["verb"] not in arguments.VERBS:
            yield f"evenkeel-host {match['verb']}"
            continue
        for option in OPTION.findall(match["rest"]):
            if option.lstrip("-") not in arguments.VERBS[match["verb"]]:
                yield f"evenkeel-host {match['verb']} {option}"


@pytest.mark.parametrize("path", sources(), ids=named)
def test_what_a_message_names_exists(path):
    assert missing(text_of(path)) == []


@pytest.mark.parametrize("page", sorted(set(PAGES) - HISTORY), ids=named)
def test_what_a_page_names_exists(page):
    assert missing(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('e(next_step="see docs/nowhere.md")', ["docs/nowhere.md"]),
        ('e(next_step="see nowhere.md")', ["nowhere.md"]),
        ('e(f"correct {path} (inventories/example/group_vars/absent.yml)")',
         ["inventories/example/group_vars/absent.yml"]),
        ('e(f"ansible-playbook -i {i} playbooks/gone.yml")', ["playbooks/gone.yml"]),
        ('e("next: scripts/" "gone --x")', ["scripts/gone", "scripts/gone"]),
        ('e(f"run {root}/scripts/rollback --undo {change}")', ["scripts/rollback --undo"]),
        ('e("run scripts/lab begin")', ["scripts/lab begin"]),
        ('e("run scripts/approve X --sign")', ["scripts/approve --sign"]),
        ('e("give -e chnage=x")', ["-e chnage="]),
        ('e("run: python -m evenkeel.gone")', ["evenkeel.gone"]),
        ('e("evenkeel-host --balancer haproxy reset")', ["evenkeel-host reset"]),
        ('e("evenkeel-host --balancer haproxy prune --all")', ["evenkeel-host prune --all"]),
        ('e(f"see docs/README.md, scripts/rollback -e undo={change} or scripts/lab start")', []),
    ],
)  # fmt: skip
def test_a_name_of_what_is_not_there_is_found(code, found):
    assert missing("\n".join(texts_of_python(code))) == found
