import json

import pytest
from unit.rehearsal.changes import hand_made, intent, servers, write_change

from evenkeel.errors import Refused
from evenkeel.rehearsal import bundles as plan


def entry(release, base="b" * 64):
    return {"release": release * 64, "base": base, "files": {}}


def manifest(**hosts):
    return {"change_id": "c", "hosts": hosts}


def test_hosts_with_equal_content_share_one_container():
    bundles = plan.distinct(manifest(lb1=entry("1"), lb2=entry("2"), lb3=entry("1")))
    assert [one.hosts for one in bundles] == [("lb1", "lb3"), ("lb2",)]
    assert len({one.name for one in bundles}) == 2


def test_compares_with_what_is_live_on_most_hosts_and_names_the_others():
    (bundle,) = plan.distinct(
        manifest(lb1=entry("1", None), lb2=entry("1", "b" * 64), lb3=entry("1", "b" * 64))
    )
    assert (bundle.base, bundle.host, bundle.other_bases) == ("b" * 64, "lb2", ("lb1",))


@pytest.mark.parametrize("hosts", [["lb9"], []])
def test_refuses_hosts_that_the_change_has_no_bundle_for(hosts):
    with pytest.raises(Refused, match="no bundle to rehearse"):
        plan.distinct(manifest(lb1=entry("1")), hosts)


def test_rehearses_only_the_hosts_that_were_asked_for():
    bundles = plan.distinct(manifest(lb1=entry("1"), lb2=entry("2")), ["lb2"])
    assert [one.hosts for one in bundles] == [("lb2",)]


def test_the_inventory_has_one_sealed_container_for_each_bundle(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EVENKEEL_LAB", "unit")
    monkeypatch.setenv("EVENKEEL_CHANGE", str(tmp_path / "c1"))
    bases = {"lb1": hand_made(3), "lb2": hand_made(3)}
    write_change(tmp_path / "c1", {"lb1": intent(), "lb2": intent()}, bases)
    assert plan.main() == 0
    inventory = json.loads(capsys.readouterr().out)
    hosts = inventory["staging"]["hosts"]
    assert len(hosts) == 2
    assert "--network=none" in inventory["staging"]["vars"]["podman_run"]
    for host in hosts:
        variables = inventory["_meta"]["hostvars"][host]
        assert variables["container"] == f"evenkeel-unit-staging-{host}"
        assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]


def test_says_in_words_that_there_is_no_such_change(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EVENKEEL_CHANGE", str(tmp_path / "none"))
    assert plan.main() == 10
    assert "There is no change none" in capsys.readouterr().err


def test_the_example_beside_the_scenario_is_whole(monkeypatch):
    for name in (plan.CHANGE, plan.HOSTS, plan.RESULTS):
        monkeypatch.delenv(name, raising=False)
    settings = plan.Settings.read()
    assert settings.bundles()
    assert plan.ChangeFolder(settings.change).verify_bundle()


def test_rotated_orders_are_different_bundles(tmp_path):
    hosts = {f"lb{n}": intent({"servers": servers(5)}) for n in range(1, 9)}
    folder = write_change(tmp_path / "c1", hosts, {})
    assert 1 < len(plan.distinct(folder.manifest())) <= 4
