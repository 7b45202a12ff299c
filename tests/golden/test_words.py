"""The tokenizer reads lines as the real HAProxy does: words, quotes, escapes, and what is refused.

HAProxy shows words to a filter in Lua (words.lua) while it starts, up to the first empty word.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from evenkeel.balancer.dialect import load_dialect

ROOT = Path(__file__).parents[2]
DIALECT = load_dialect(ROOT / "roles" / "balancer_haproxy")
WORDS = sys.modules["evenkeel_dialect_balancer_haproxy.config.words"]
LUA = Path(__file__).parent / "words.lua"
HEAD = f"""\
global
    nbthread 1
    lua-load {LUA}
defaults
    timeout client 1s
    timeout connect 1s
    timeout server 1s
listen x
    bind unix@{{socket}}
    mode http
"""
# The tokenizer knows no value of a variable, so here the value of each is its own text.
VARIABLES = {"A": "$A", "B": "${B}", "C": "${C-d e}", "D": "${D[*]}"}
NAMES = re.compile(r"\$([a-z]\w*)", re.ASCII)
IN_BRACES = re.compile(r"\$\{[a-z]")
REFUSED = re.compile(r"parsing \[[^\]]*:(\d+)\]")
# After 50 errors HAProxy reads no further.
MOST_ERRORS = 45

# Every letter that means something to one of the two, and some that do not.
LETTERS = [*"ax4n \t\r\v'\"\\#${}-", "\xa0", "\x85"]
ESCAPES = [r"\x41", r"\x6F", r"\x20", r"\x00", r"\x", r"\x4", r"\n", r"\t", r"\r", r"\d"]
ESCAPES += [r"\#", r"\\", r"\'", r"\"", r"\$"]
QUOTED = ["''", '""', "'a b'", '"a b"', '"$A"', '"$A[*]"', '"${B}"', '"${C-d e}"', '"${D[*]}"']
OTHERS = [*"b0=,([\f\x1c\xe9", "\xc3\xa9", "  ", "*]", r"\ ", "deny", "maxconn"]
PIECES = [*LETTERS, *ESCAPES, *QUOTED, *OTHERS]


def short_lines() -> list[str]:
    """Every line of one to three letters."""
    return ["".join(line) for size in (1, 2, 3) for line in itertools.product(LETTERS, repeat=size)]


def long_lines(count: int) -> list[str]:
    source = random.Random(26)
    lines = ("".join(source.choices(PIECES, k=source.randint(3, 12))) for _ in itertools.count())
    return list(itertools.islice((line for line in lines if not IN_BRACES.search(line)), count))


def ours(line: str) -> list[str] | None:
    """The words up to the first empty one; None for a line that is refused."""
    try:
        read = WORDS.words(line)
    except ValueError:
        return None
    return list(itertools.takewhile(bool, read))


def started(config: Path, lines: Sequence[str], *more: str) -> subprocess.CompletedProcess[str]:
    head = HEAD.format(socket=config.with_suffix(".sock"))
    rows = [f"    filter lua.words {number} {line}\n" for number, line in enumerate(lines)]
    text = "".join([head, *rows, "    filter lua.words end\n"])
    config.write_bytes(text.encode("latin-1"))
    return subprocess.run(
        ["haproxy", "-db", *more, "-f", config],
        capture_output=True,
        encoding="latin-1",
        timeout=60,
        env={**os.environ, **{name: f"${name}" for name in NAMES.findall(text)}, **VARIABLES},
    )


def refused(lines: Sequence[str], folder: Path) -> set[str]:
    """Those of the lines that HAProxy refuses."""
    first = HEAD.count("\n") + 1
    found = set()
    for at in range(0, len(lines), MOST_ERRORS):
        part = lines[at : at + MOST_ERRORS]
        said = started(folder / "refused.cfg", part, "-c").stderr
        found |= {part[int(number) - first] for number in REFUSED.findall(said)}
    return found


def read(lines: Sequence[str], folder: Path) -> list[list[str]]:
    """The words that HAProxy makes of each line, none of which it may refuse."""
    done = started(folder / "read.cfg", lines)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [row.split(" ") for row in done.stdout.splitlines()]
    return [[bytes.fromhex(word).decode("latin-1") for word in row[1:]] for row in rows]


@pytest.mark.parametrize("lines", [short_lines(), long_lines(6000)], ids=["short", "long"])
def test_the_tokenizer_reads_a_line_as_haproxy_does(lines: list[str], tmp_path: Path) -> None:
    assert len(lines) >= 5000
    wanted = {line: ours(line) for line in lines}
    bad = [line for line, words in wanted.items() if words is None]
    assert refused(bad, tmp_path) == set(bad)
    good = [line for line, words in wanted.items() if words is not None]
    got = read(good, tmp_path)
    wrong = [row for row in zip(good, map(ours, good), got, strict=True) if row[1] != row[2]]
    assert wrong[:10] == []
