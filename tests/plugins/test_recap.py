"""How a run of a playbook ends: the reserved exit code, and what a person is told."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from evenkeel.errors import EXIT_REFUSED, EXIT_ROLLED_BACK

PLUGIN = Path(__file__).parents[2] / "plugins" / "callback" / "evenkeel_recap.py"


@pytest.fixture
def recap():
    spec = importlib.util.spec_from_file_location("evenkeel_recap", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.CallbackModule()
    made.said = []
    made._display = SimpleNamespace(
        display=made.said.append, error=lambda text, wrap_text: made.said.append(text)
    )
    return made


def ended(recap):
    with pytest.raises(SystemExit) as end:
        recap.v2_playbook_on_stats(None)
    return end.value.code


def result(**facts):
    return SimpleNamespace(result={"evenkeel": facts})


def test_a_playbook_that_finds_no_host_is_no_success_and_says_once_what_to_give(recap):
    for _ in range(2):
        recap.v2_playbook_on_no_hosts_matched()
    assert ended(recap) == EXIT_REFUSED
    assert len(recap.said) == 1
    assert "no host is in the group" in recap.said[0] and "-i" in recap.said[0]


def test_a_run_without_a_fault_ends_as_ansible_does(recap):
    recap.v2_runner_on_ok(SimpleNamespace(result={}))
    assert recap.v2_playbook_on_stats(None) is None
    assert recap.said == []


def test_the_account_of_every_host_goes_before_the_tasks_that_led_there(recap):
    recap.v2_runner_on_failed(result(exit_code=EXIT_REFUSED))
    recap.v2_runner_on_ok(result(exit_code=EXIT_ROLLED_BACK, recap="lb1  reverted"))
    recap.v2_runner_on_unreachable(None)
    assert ended(recap) == EXIT_ROLLED_BACK
    assert recap.said == ["\nlb1  reverted"]


def test_a_table_that_accounts_for_nothing_leaves_a_silent_host_a_failure(recap):
    recap.v2_runner_on_unreachable(None)
    recap.v2_runner_on_ok(result(recap="lb1  no answer"))
    assert ended(recap) == EXIT_REFUSED
    assert recap.said == ["\nlb1  no answer"]


def test_an_account_without_a_fault_ends_as_ansible_does(recap):
    recap.v2_runner_on_failed(result(exit_code=EXIT_REFUSED))
    recap.v2_runner_on_ok(result(exit_code=0, recap="lb1  untouched"))
    assert recap.v2_playbook_on_stats(None) is None
