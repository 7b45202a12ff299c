"""What the install copies is what was built, where the program looks for it."""

from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

from evenkeel.commands import ROOT
from evenkeel.program import driver_on_host
from evenkeel.verbs.controller import act

ROLES = sorted((ROOT / "roles").glob("balancer_*"))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_what_is_built_for_a_host_is_installed_where_the_program_looks(
    role: Path, tmp_path: Path
) -> None:
    folder = ROOT / "roles" / "host_switch"
    tasks = yaml.safe_load((folder / "tasks" / "main.yml").read_text())
    (task,) = [one for one in tasks if one["name"] == "Copy the balancer's driver"]
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text())
    init_plugin_loader([])
    kind = role.name.removeprefix("balancer_")
    arguments = {
        "verb": "build_program",
        "output": str(tmp_path / "evenkeel-host"),
        "roles": str(ROOT / "roles"),
    }
    hosts = {"ansible_play_hosts_all": ["lb1"], "hostvars": {"lb1": {"balancer_kind": kind}}}
    built = act(Mock(check_mode=False), arguments, hosts)
    values = {
        "host_switch_program": built["path"],
        "balancer_kind": kind,
        "host_switch_driver": trust_as_template(defaults["host_switch_driver"]),
    }
    templar = Templar(loader=DataLoader(), variables=values)
    copy = task["ansible.builtin.copy"]
    source, where = (templar.template(trust_as_template(copy[name])) for name in ("src", "dest"))
    assert (where, Path(source).read_bytes()) == driver_on_host(role)
    assert copy["mode"] == "0644" and copy["owner"] == "root" and "loop" not in task
