"""The program inside the container, as Ansible calls it."""

import json

import pytest

from evenkeel.rehearsal.run import container, main


@pytest.fixture
def steps(monkeypatch):
    """Stand in for the three steps; one that `broken` names is trouble."""
    ran, broken = [], set()

    def run(verb):
        ran.append(verb)
        if verb in broken:
            raise container.Trouble("no driver")
        return json.dumps({"seconds": 1.0, "of": verb})

    monkeypatch.setattr(main, "_run", run)
    return ran, broken


def called(monkeypatch, verb):
    monkeypatch.setattr("sys.argv", ["rehearsal.pyz", verb])
    return main.main()


def test_a_whole_rehearsal_is_every_step_in_its_order(steps, monkeypatch, capsys):
    ran, _ = steps
    assert called(monkeypatch, "rehearse") == 0
    assert ran == ["prepare", "converge", "side-effect"]
    # What was measured is read from its files: nobody wants it through Ansible's output too.
    assert capsys.readouterr().out == ""


def test_a_step_that_is_in_trouble_ends_the_rehearsal_and_is_named(steps, monkeypatch, capsys):
    ran, broken = steps
    broken.add("converge")
    assert called(monkeypatch, "rehearse") == 1
    assert ran == ["prepare", "converge"]
    assert capsys.readouterr().err == "converge: no driver\n"


def test_a_step_that_is_called_alone_prints_what_it_found(steps, monkeypatch, capsys):
    assert called(monkeypatch, "side-effect") == 0
    assert json.loads(capsys.readouterr().out) == {"seconds": 1.0, "of": "side-effect"}
