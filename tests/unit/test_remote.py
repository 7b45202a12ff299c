import json

import pytest

from evenkeel.errors import Refused, RollbackFailed, RolledBack
from evenkeel.remote import arguments, call


def answer(exit_code, value, err=b""):
    return lambda words, data: (exit_code, json.dumps(value).encode(), err)


def run(channel):
    return call(channel, host="lb1", balancer="haproxy", verb="activate", options={})


def test_options_become_flags_of_one_argument_list():
    words = arguments(
        "haproxy", "activate", {"change": "c1", "lease_seconds": 30, "judge": True, "base": None}
    )
    assert words[:5] == ["sudo", "-n", "/usr/local/sbin/evenkeel-host", "--balancer", "haproxy"]
    assert words[5:] == ["activate", "--change", "c1", "--lease-seconds", "30", "--judge"]


def test_an_option_with_a_name_of_its_own_making_is_refused():
    with pytest.raises(Refused):
        arguments("haproxy", "status", {"x; rm": 1})


def test_an_answer_that_is_not_json_names_the_host_and_the_next_step():
    with pytest.raises(Refused) as caught:
        run(lambda words, data: (127, b"", b"sudo: evenkeel-host: command not found\n"))
    text = str(caught.value)
    assert "lb1" in text
    assert "command not found" in text
    assert "install.yml" in text


@pytest.mark.parametrize(
    ("exit_code", "kind"), [(10, Refused), (11, RolledBack), (12, RollbackFailed)]
)
def test_the_hosts_exit_code_decides_what_kind_of_error_it_is(exit_code, kind):
    error = run(answer(exit_code, {"ok": False, "error": {"what": "no"}})).error("lb1")
    assert type(error) is kind
    assert error.exit_code == exit_code


def test_a_good_answer_is_no_error():
    assert run(answer(0, {"ok": True})).error("lb1") is None
