"""What a plugin of ours says when its function meets what nothing of ours writes."""

from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

from evenkeel.doorway import Doorway
from evenkeel.errors import EXIT_REFUSED


@pytest.mark.parametrize(
    "fault", [AttributeError("no get"), RecursionError("deep"), KeyError("hosts"), ValueError("x")]
)
def test_an_answer_of_another_shape_is_refused_without_a_traceback(fault, monkeypatch):
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})

    class Plugin(Doorway):
        def act(self, args, task_vars):
            raise fault

    plugin = Plugin.__new__(Plugin)
    plugin._task = SimpleNamespace(args={"verb": "plan", "change": "c1"}, action="evenkeel_change")
    result = plugin.run(None, {})
    assert result["failed"] and result["evenkeel"]["exit_code"] == EXIT_REFUSED
    assert result["msg"].startswith("plan met what it cannot read\n  where:  c1\n")
    assert "Traceback" not in result["msg"]
