"""One container per balancer for the whole suite, and a host in its first state for every test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.deploy_user import EXPORTER, POLICY, SPRUNG, TRAPS, USER, line, listing, user
from contract.hosts import PROGRAM, Host, Release, intent, kinds
from jinja2 import Template
from unit.host.approved import People

from evenkeel.containers.names import ROOT


@pytest.fixture(scope="session", params=kinds())
def container(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A booted container with the program, the driver and web servers."""
    host = Host(request.param)
    try:
        host.start()
        yield host
    finally:
        host.stop()


@pytest.fixture
def first(container: Host) -> Release:
    """What runs on the host before anybody takes it over: three servers."""
    return container.render(intent())


@pytest.fixture
def second(container: Host) -> Release:
    """A good change: one more server."""
    return container.render(intent(servers=4))


@pytest.fixture
def host(container: Host, first: Release) -> Host:
    """A host that nobody took over yet, which runs `first`."""
    container.reset(first)
    return container


@pytest.fixture(scope="module")
def guarded(container: Host) -> Iterator[Host]:
    """A host that was taken over, with the sudo rule as the role host_switch writes it."""
    host = container
    host.reset(host.render(intent()))
    host.run("rm", "-rf", POLICY)
    template = ROOT / "roles" / "host_switch" / "templates" / "sudoers.j2"
    rule = Template(template.read_text()).render(host_switch_user=USER) + "\n"
    host.write("/etc/sudoers.d/evenkeel", rule.encode(), "0440")
    host.run("visudo", "-cq")
    host.deploy("before", host.render(intent(servers=4)))
    host.must("confirm", "--change", "before")
    try:
        yield host
    finally:
        host.run("rm", "-rf", "/etc/sudoers.d/evenkeel", POLICY, TRAPS, SPRUNG, EXPORTER)


@pytest.fixture(scope="module")
def before(guarded: Host) -> str:
    """All that an attempt could change."""
    assert user(guarded, "sudo", "-n", PROGRAM, *line(guarded, "status"))[0] == 0
    return listing(guarded)


@pytest.fixture
def unchanged(guarded: Host, before: str) -> Iterator[Host]:
    """The host; after the test it is what it was."""
    yield guarded
    now = listing(guarded)
    assert sorted(set(now.splitlines()) ^ set(before.splitlines())) == []


@pytest.fixture(scope="module")
def traps(guarded: Host) -> None:
    """What the deploy user lays out for a program that runs as root."""
    script = f"""
    set -e; rm -rf {TRAPS}; mkdir -p {TRAPS}/evenkeel {TRAPS}/linked {TRAPS}/itself; cd {TRAPS}
    for name in sh ssh-keygen systemctl systemd-run python3 evenkeel-host {" ".join(kinds())}; do
        printf '#!/bin/sh\\ntouch {SPRUNG}\\n' > $name; chmod 755 $name
    done
    for name in sitecustomize usercustomize json evenkeel/__init__ encodings os site; do
        echo 'open("{SPRUNG}", "w")' > $name.py
    done
    echo 'touch {SPRUNG}' > rc
    ln -s /bin/sh linked/evenkeel-host; ln -s {PROGRAM} itself/p
    """
    code, said = user(guarded, "sh", "-c", script)
    assert code == 0, said


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path)


@pytest.fixture
def asking(guarded: Host, people: People) -> Iterator[Host]:
    """A host whose policy asks for one approval, as the role host_switch writes it."""
    policy = json.dumps({"approvals_required": 1, "host": "lb1"}).encode()
    folder = f"{POLICY}/{guarded.kind}"
    guarded.write(f"{folder}/allowed_signers", people.signers.read_bytes(), "0644")
    guarded.write(f"{folder}/policy.json", policy, "0644")
    yield guarded
    guarded.run("rm", "-rf", POLICY)


@pytest.fixture
def strict(unchanged: Host, asking: Host) -> Host:
    """A host that asks for an approval, and that is what it was when the test is over."""
    return asking


@pytest.fixture
def wanted(guarded: Host) -> Release:
    """A release that is right in every way."""
    return guarded.render(intent(weight=90))
