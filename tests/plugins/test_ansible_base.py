"""What a plugin of ours says when its function meets what nothing of ours writes."""

from types import SimpleNamespace

import pytest
from ansible import context
from ansible.plugins.action import ActionBase

from evenkeel.ansible_base import ROOT, EvenkeelAction, typed
from evenkeel.errors import EXIT_REFUSED, Refused


@pytest.mark.parametrize(
    "fault", [AttributeError("no get"), RecursionError("deep"), KeyError("hosts"), ValueError("x")]
)
def test_an_answer_of_another_shape_is_refused_without_a_traceback(fault, monkeypatch):
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})

    class Plugin(EvenkeelAction):
        def act(self, args, task_vars):
            raise fault

    plugin = Plugin.__new__(Plugin)
    plugin._task = SimpleNamespace(args={"verb": "plan", "change": "c1"}, action="evenkeel_change")
    result = plugin.run(None, {})
    assert result["failed"] and result["evenkeel"]["exit_code"] == EXIT_REFUSED
    assert result["msg"].startswith("plan found data that it cannot read\n  where:  c1\n")
    assert "Traceback" not in result["msg"]


def test_what_is_shown_of_a_change_or_a_host_moves_no_cursor(monkeypatch):
    shown = []
    monkeypatch.setattr("evenkeel.ansible_base.display.display", shown.append)
    EvenkeelAction.show(None, "pool web\x1b[2J:\u202e 33 %")
    assert shown == ["pool web\N{REPLACEMENT CHARACTER}[2J:\N{REPLACEMENT CHARACTER} 33 %"]


@pytest.fixture
def inventory(monkeypatch):
    monkeypatch.delenv("EVENKEEL_INVENTORY", raising=False)
    monkeypatch.chdir(ROOT)
    return lambda *paths: monkeypatch.setattr(context, "CLIARGS", {"inventory": paths})


def test_what_a_refusal_tells_to_type_names_the_inventory_that_was_given(inventory, monkeypatch):
    inventory("/etc/evenkeel/my hosts", str(ROOT / "inventories" / "example"))
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})

    class Plugin(EvenkeelAction):
        def act(self, args, task_vars):
            raise Refused("no", next_step="run: ansible-playbook playbooks/render.yml")

    plugin = Plugin.__new__(Plugin)
    plugin._task = SimpleNamespace(args={}, action="evenkeel_change")
    words = "-i '/etc/evenkeel/my hosts' -i inventories/example"
    assert plugin.run(None, {})["msg"].endswith(
        f"run: ansible-playbook {words} playbooks/render.yml"
    )


def test_without_an_inventory_of_its_own_a_command_is_told_as_it_is(inventory):
    inventory("/etc/ansible/hosts")
    assert typed("scripts/rollback") == "scripts/rollback"
    inventory(str(ROOT / "inventories" / "lab"))
    assert typed("scripts/rollback") == "scripts/rollback"
    inventory("/etc/mine")
    assert typed("scripts/rollback") == "scripts/rollback -i /etc/mine"
