import io
import os
import re

import pytest
from unit.change.build import Sample, make_key, public_key
from unit.report.samples import confirmed

from evenkeel.change import approval
from evenkeel.change.rollout import Place, Rollout
from evenkeel.commands import run
from evenkeel.commands.approve import main, summary
from evenkeel.errors import EXIT_OK, EXIT_REFUSED, EXIT_USAGE, Refused, UsageError
from evenkeel.report import page
from evenkeel.terminal import console, plain


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder / name) for name in ("alice", "bob")}


@pytest.fixture
def change(tmp_path):
    return Sample(tmp_path / "changes").rendered().rehearsed()


@pytest.fixture
def words(tmp_path, keys, change):
    path = tmp_path / "allowed_signers"
    path.write_text("".join(f"{name} {public_key(key)}\n" for name, key in keys.items()))
    return [
        change.change_id,
        "--as=bob",
        f"--key={keys['bob']}",
        f"--changes-dir={change.changes}",
        f"--allowed-signers={path}",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_shows_the_effect_then_signs(words, change, tmp_path, capsys):
    assert main([*words, "--yes"]) == EXIT_OK
    shown = capsys.readouterr().out
    for text in ("web2", "0.0 % > 50.0 %", "digest", "+1 -0 lines", "signed by bob"):
        assert text in shown
    assert f"playbooks/deploy.yml -e change={change.change_id}" in shown
    assert approval.verify(change.folder, tmp_path / "allowed_signers")
    assert "bob" in (change.path / "report.html").read_text()


def test_shows_who_is_reached_when_and_who_decides(words, change, capsys):
    places = (Place("lb2", "standby", "fra"), Place("lb1", zone="ams"), Place("lb3"))
    rules = Rollout(places, ({"hosts": 1, "bake_seconds": 30},), 2, "stage", "hold", 300)
    change.folder.write_json("rollout.json", rules.as_dict())
    assert main([*words, "--yes"]) == EXIT_OK
    shown = capsys.readouterr().out
    assert "stage 1: lb2 (fra, standby); up to 30 s, at least 200 requests" in shown
    assert "stage 2: lb1 (ams), lb3; up to 30 s" in shown
    for text in ("each stage is confirmed", "for 300 s, until a person", "approvals required: 2"):
        assert text in shown


def test_signing_again_says_so(words, capsys):
    main([*words, "--yes"])
    assert main([*words, "--yes"]) == EXIT_OK
    assert "was signed before by bob" in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["", "n\n", "nope\n", "maybe\n"])
def test_anything_but_yes_signs_nothing(words, change, monkeypatch, answer):
    monkeypatch.setattr("sys.stdin", Terminal(answer or "\n"))
    with pytest.raises(Refused, match="was not signed"):
        main(words)
    assert not change.folder.approvals.exists()


def test_yes_at_the_terminal_signs(words, change, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert main(words) == EXIT_OK


def _another_bundle(change):
    change.rendered(b"backend app\n    server web9 10.0.0.9:80\n").rehearsed()


def _another_effect(change):
    change.folder.write_json("forecast.json", {"groups": []})


def _another_difference(change):
    (change.path / "diff.txt").write_text("# lb1\n+ nothing\n")


def _another_rehearsal(change):
    change.rehearsed(bundles=[{"hosts": ["lb1"], "checks": []}])


@pytest.mark.parametrize(
    "swap", [_another_bundle, _another_effect, _another_difference, _another_rehearsal]
)
def test_what_was_swapped_while_a_person_looked_is_not_signed(words, change, monkeypatch, swap):
    def asked(_):
        swap(change)
        return "y"

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", asked)
    with pytest.raises(Refused, match="moved"):
        main(words)
    assert not change.folder.approvals.exists()


def test_what_lies_in_the_folder_only_while_it_is_shown_is_not_shown(
    words, change, monkeypatch, capsys
):
    """Somebody puts a harmless change there for the look, and back again for the signing."""

    def looked(folder, real=page):
        mine = (change.path / "forecast.json").read_bytes()
        _another_effect(change)
        found = real(folder)
        (change.path / "forecast.json").write_bytes(mine)
        return found

    monkeypatch.setattr("evenkeel.commands.approve.page", looked)
    assert main([*words, "--yes"]) == EXIT_OK
    assert "largest shift 50.0 points" in capsys.readouterr().out


@pytest.mark.parametrize("bundles", [[7], 7, [{"checks": 7}], [{"hosts": 7}]])
def test_a_rehearsal_of_another_shape_is_refused_without_a_traceback(words, change, bundles):
    change.rehearsed(bundles=bundles)
    with pytest.raises(Refused, match=r"cannot be read"):
        main([*words, "--yes"])
    assert not change.folder.approvals.exists()


@pytest.mark.parametrize("name", ["change.json", "forecast.json", "policy.json", "rollout.json"])
def test_what_cannot_be_shown_because_it_is_damaged_is_not_signed(words, change, name):
    (change.path / name).write_text("{")
    with pytest.raises(Refused, match="damaged and cannot be shown"):
        main([*words, "--yes"])
    assert not change.folder.approvals.exists()


@pytest.mark.parametrize("name", ["diff.txt", "forecast.json"])
def test_what_cannot_be_shown_because_it_is_missing_is_not_signed(words, change, name):
    (change.path / name).unlink()
    with pytest.raises(Refused, match=f"{name} is missing"):
        main([*words, "--yes"])
    assert not change.folder.approvals.exists()


def test_the_difference_is_that_of_the_files_whatever_is_written_of_it(words, change, capsys):
    (change.path / "diff.txt").write_text("# lb1, lb2, lb3\n+a comment\n-a comment\n")
    assert main([*words, "--yes"]) == EXIT_OK
    assert "lb1, lb2, lb3: +1 -0 lines" in capsys.readouterr().out


def test_a_file_that_never_ends_is_not_waited_for(words, change):
    (change.path / "diff.txt").unlink()
    os.mkfifo(change.path / "diff.txt")
    with pytest.raises(Refused, match=r"diff\.txt cannot be shown"):
        main([*words, "--yes"])


def test_without_a_terminal_nobody_is_asked_and_nothing_is_signed(words, change, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="needs a terminal"):
        main(words)
    assert not change.folder.approvals.exists()


def test_what_did_not_pass_is_refused_before_it_is_shown(words, change, capsys):
    change.rehearsed("fail")
    with pytest.raises(Refused, match="did not pass"):
        main([*words, "--yes"])
    assert capsys.readouterr().out == ""


def drawn(change, width, *, bars=True):
    on = console(io.StringIO(), drawing=True, width=width)
    for part in summary(page(change.folder), bars=bars):
        on.print(part)
    return on.file.getvalue()


def test_without_a_terminal_the_summary_has_no_bars_and_a_line_for_each_move(tmp_path):
    text = plain(*summary(page(confirmed(tmp_path).folder)))
    assert "\x1b" not in text and "█" not in text
    assert re.findall(r"web3 .*", text) == [
        "web3 forecast  0.0 % > 25.0 % +25.0",
        "web3 measured  0.0 % > 25.1 % +25.1",
    ]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_on_a_terminal_bars_take_the_room_that_is_left_and_no_figure_is_cut(tmp_path, width):
    lines = re.sub(r"\x1b\[[0-9;]*m", "", drawn(confirmed(tmp_path), width)).splitlines()
    assert max(map(len, lines)) <= width
    moves = [line for line in lines if "forecast  " in line or "measured  " in line]
    assert moves and all("█" in line and re.search(r"% >\s+\S+ % +[-+]", line) for line in moves)


def test_a_narrow_terminal_gets_every_figure_and_no_bars(tmp_path):
    lines = drawn(confirmed(tmp_path), 40, bars=False).splitlines()
    assert any(line.endswith("web3 forecast  0.0 % > 25.0 % +25.0") for line in lines)


def test_no_line_of_the_summary_is_wrapped_where_a_machine_reads_it(tmp_path):
    title = "x" * 150 + " " + "y" * 45
    change = Sample(tmp_path, about={"title": title}).rendered().rehearsed()
    assert title in plain(*summary(page(change.folder)))


@pytest.mark.parametrize("name", ["[red]web1[/red]", "web1[/]", ":smile:"])
def test_what_looks_like_markup_is_printed_as_it_is(tmp_path, name):
    change = Sample(tmp_path, about={"title": name}).rendered(forecast_of={name: (0.1, 0.6)})
    change.rehearsed()
    assert drawn(change, 120).count(name) >= 2
    assert plain(*summary(page(change.folder))).count(name) >= 2


@pytest.mark.parametrize("evil", ["\x1b[2J", "\r", "\n", "\x9b1A", "\u202e", "\u2066"])
def test_no_text_of_the_change_can_rewrite_the_terminal(tmp_path, evil):
    about = {"title": f"Fine{evil}title", "author": f"al{evil}ice", "not_before": f"2024{evil}"}
    change = Sample(tmp_path, about=about).rendered().rehearsed()
    lines = plain(*summary(page(change.folder))).splitlines()
    assert all(line.isprintable() for line in lines)
    assert "Fine\N{REPLACEMENT CHARACTER}" in drawn(change, 80) or evil == "\n"
    assert any("Fine" in line and "title" in line for line in lines)


@pytest.mark.parametrize("name", ["../../tmp/evil", "/etc/evil", "a/b", "..", "x/../{name}"])
def test_a_change_id_that_could_be_a_path_is_refused(words, change, name):
    path = name.format(name=change.change_id)
    with pytest.raises(Refused, match="no usable name"):
        main([path, *words[1:], "--yes"])


def code_of(main, capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        run(main)
    return caught.value.code, capsys.readouterr().err


def test_an_error_ends_the_command_with_its_code_and_without_a_traceback(
    words, change, monkeypatch, capsys
):
    monkeypatch.setattr("sys.argv", ["approve", *words, "--as=alice", "--yes"])
    code, said = code_of(main, capsys)
    assert code == EXIT_REFUSED
    assert "author of a change cannot approve" in said
    assert "Traceback" not in said


def test_unknown_words_are_a_usage_error(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["approve", "--nonsense"])
    code, said = code_of(main, capsys)
    assert code == EXIT_USAGE
    assert "usage" in said


def test_an_interrupt_ends_quietly(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["approve"])
    assert code_of(interrupted, capsys) == (130, "interrupted\n")
