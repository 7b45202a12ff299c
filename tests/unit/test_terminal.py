"""What people see is drawn on a terminal alone; everything else gets plain, complete lines."""

import io
import os
import subprocess
import sys

import pytest

from evenkeel import terminal
from evenkeel.terminal import console, draws, grid, plain, say, show, table, text

HOSTILE = ["[red]web1[/red]", "web1[/]", ":smile:", "[link=file:///etc]web1", "\\[bold]"]
MOVES = ["\x1b[2J", "\x1b]0;title\x07", "\r", "\x9b1A", "\u202e", "\u2066", "\x08", "\x7f"]


class Stream(io.StringIO):
    def __init__(self, is_terminal=True):
        super().__init__()
        self.isatty = lambda: is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "environment", "wanted"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {}, True),
        (True, {"CI": "false", "NO_COLOR": ""}, True),
        (False, {"TERM": "xterm"}, False),
        (False, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}, False),
        (True, {"CI": "true"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_bars_and_colours_are_for_a_terminal_alone(is_terminal, environment, wanted):
    assert draws(Stream(is_terminal), environment) is wanted


@pytest.mark.parametrize("name", ["CI", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_pipe_gets_no_escape_code_whatever_the_environment_says(monkeypatch, capsys, name):
    monkeypatch.setenv(name, "1")
    show(text("bold", "bold red"), grid(("host",), [("lb1",)]))
    assert capsys.readouterr().out == "bold\nhost\nlb1\n"


@pytest.mark.parametrize("columns", ["20", "80"])
def test_plain_lines_are_neither_wrapped_nor_cut(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    reason = "word " * 100 + "end"
    assert table(("host", "why"), [("lb1", reason)]).splitlines()[1] == f"lb1   {reason}"
    assert plain(reason, text(reason)) == f"{reason}\n{reason}"


def test_a_table_has_one_line_for_each_row_and_no_spaces_at_the_end():
    drawn = table(("host", "state", ""), [("lb1", "ok", ""), ("lb-long", "", "note")])
    assert drawn.splitlines() == ["host     state", "lb1      ok", "lb-long         note"]


def test_wide_characters_keep_the_columns_aligned():
    first, second = table(("名字", "state"), [("lb1", "ok")]).splitlines()
    assert (first, second) == ("名字  state", "lb1   ok")


def test_numbers_align_right():
    drawn = plain(grid(("what", "n"), [("a", "7"), ("b", "1,234")], numbers=True))
    assert drawn.splitlines() == ["what      n", "a         7", "b     1,234"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("drawing", [True, False])
def test_what_looks_like_markup_is_printed_as_it_is(name, drawing):
    on = console(io.StringIO(), drawing=drawing, width=200)
    on.print(grid(("server",), [(name,)]), text(name))
    assert on.file.getvalue().count(name) == 2


@pytest.mark.parametrize("evil", MOVES)
@pytest.mark.parametrize("on_terminal", [True, False])
def test_no_control_character_reaches_the_terminal(monkeypatch, evil, on_terminal):
    out = Stream(on_terminal)
    monkeypatch.setattr(sys, "stdout", out)
    for name in ("CI", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    words = f"web{evil}1"
    show(grid((words,), [(words,)]), text(words), words)
    say(words)
    assert out.getvalue().count("web\N{REPLACEMENT CHARACTER}") == 5
    assert "[2J" not in out.getvalue().replace("\N{REPLACEMENT CHARACTER}[2J", "")


def test_words_of_a_host_stay_in_their_row():
    drawn = table(("host", ""), [("lb1", "disk full\nnext: run this\x1b[2J")])
    last = "lb1   disk full next: run this\N{REPLACEMENT CHARACTER}[2J"
    assert drawn.splitlines() == ["host", last]


def test_on_a_terminal_a_long_cell_is_continued_below_and_a_command_stays_one_line(monkeypatch):
    out = Stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(terminal, "draws", lambda *_: True)
    monkeypatch.setenv("COLUMNS", "40")
    command = "next: ansible-playbook playbooks/deploy.yml -e change=a-long-name"
    show(grid(("host", "why"), [("lb1", "word " * 20)]), command)
    lines = out.getvalue().splitlines()
    assert lines[-1] == command
    assert len(lines) > 4 and max(map(len, lines[1:-1])) <= 40


def test_rich_is_loaded_by_what_draws_alone():
    code = (
        "import sys, evenkeel.canary.change_outcome, evenkeel.report, evenkeel.verbs.controller\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'rich']"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
