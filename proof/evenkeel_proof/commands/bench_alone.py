"""What `scripts/bench` measures without the hosts: a rehearsal, its load client, much rendering."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from evenkeel.change.bundle import render_fleet
from evenkeel.change.folder import ChangeFolder
from evenkeel.commands import ROOT
from evenkeel.rehearsal import bundles, ship
from evenkeel.rehearsal.protocol import paths
from evenkeel.verbs import render
from evenkeel.verbs.host_facts import Host
from evenkeel_proof.commands.bench_fleet import Bench
from evenkeel_proof.commands.bench_lab import lab_intent
from evenkeel_proof.commands.story import ADD_SERVERS
from evenkeel_proof.corpus import containers

ROLE = ROOT / "roles" / "balancer_haproxy"
BALANCERS_OF_THE_DEMO = ("lb1", "lb2", "lb3")
LARGE_POOL = 10_000
LARGE_FLEET = 100
POOLS_OF_THE_LARGE_FLEET = 10
SERVERS_OF_ITS_POOLS = 10
RENDERS = 3
LOAD_HOST = "lb1"
LOAD_SERVERS = 4
LOAD_SECONDS = 3
ONE_MORE = {"name": "worker201", "address": "10.70.2.1"}


def validate(bench: Bench) -> None:
    """Time playbooks/validate.yml, whole, on the change that the demo's story calls good."""
    fleet = bench.fleet
    before = render_fleet(
        dict.fromkeys(BALANCERS_OF_THE_DEMO, lab_intent(fleet)), role_dir=ROLE
    ).files
    after = lab_intent(fleet, ADD_SERVERS)
    request = _request(bench.changes / "rehearsed", BALANCERS_OF_THE_DEMO)
    hosts = {name: Host(after, before[name]) for name in BALANCERS_OF_THE_DEMO}
    render.render(request, hosts, write=True)
    with bench.timed("validate"):
        bench.playbook(ROOT / "playbooks" / "validate.yml", change="rehearsed")


def validate_large(bench: Bench) -> None:
    """Time playbooks/validate.yml, whole, on one server more in the corpus's pool of 200.

    For one host: hosts of equal content share a container.
    """
    text = (ROOT / "tests" / "corpus" / "intents" / "large.yml").read_text(encoding="utf-8")
    intent = yaml.safe_load(text)
    live = render_fleet({"lb1": intent}, role_dir=ROLE, fleet=("lb1",)).files["lb1"]
    after = copy.deepcopy(intent)
    after["pools"][0]["servers"].append({**after["pools"][0]["servers"][0], **ONE_MORE})
    request = _request(bench.changes / "rehearsed-200", ("lb1",))
    render.render(request, {"lb1": Host(after, live)}, write=True)
    with bench.timed("validate_200_servers"):
        bench.playbook(ROOT / "playbooks" / "validate.yml", change="rehearsed-200")


def rendering(bench: Bench) -> None:
    """Time what render.yml does with one pool of many servers, and with many hosts."""
    one = {"lb1": large_intent(1, LARGE_POOL)}
    intent = large_intent(POOLS_OF_THE_LARGE_FLEET, SERVERS_OF_ITS_POOLS)
    # The inventory gives every host an object of its own, so rendering has to see that they agree.
    many = {f"lb{n}": copy.deepcopy(intent) for n in range(1, LARGE_FLEET + 1)}
    for name, intents in (("render_10000_servers", one), ("render_100_hosts", many)):
        for number in range(RENDERS):
            request = _request(bench.changes / f"{name.replace('_', '-')}-{number}", tuple(intents))
            hosts = {host: Host(intent, None) for host, intent in intents.items()}
            with bench.timed(name):
                render.render(request, hosts, write=True)


def load(changes: Path, runs: int) -> dict[str, list[float]]:
    """Give requests a second of the rehearsal's load client and of wrk, by turns in one container.

    What they are called is `corpus.rates.measure`'s word; `changes` is a folder for a change.
    """
    intent = large_intent(1, LOAD_SERVERS)
    live = render_fleet({LOAD_HOST: intent}, role_dir=ROLE).files[LOAD_HOST]
    request = _request(changes / "load", (LOAD_HOST,))
    render.render(request, {LOAD_HOST: Host(intent, live)}, write=True)
    settings = bundles.Settings(request.folder.path, changes / "load-results", ROLE, None)
    settings.results.mkdir()
    (bundle,) = settings.bundles()
    payload = changes / "load-payload"
    ship.payload(bundle, settings, payload, ship.Keys.make())
    with containers.kept(1, ROLE) as (container,):
        container.take(payload)
        container.run(paths.PROGRAM, "prepare")
        return container.run(containers.PROGRAM, "rates", str(runs), str(LOAD_SECONDS))


def large_intent(pools: int, servers: int) -> dict[str, Any]:
    """Give an intent of so many pools of so many servers, one of which a listener leads to."""
    return {
        "listeners": [{"name": "www", "binds": [{"port": 80}], "default_pool": "pool1"}],
        "pools": [
            {
                "name": f"pool{pool}",
                "check": {"kind": "http", "path": "/health"},
                "servers": [
                    {"name": f"s{n}", "address": f"10.{pool}.{n // 250}.{n % 250 + 1}", "port": 80}
                    for n in range(servers)
                ],
            }
            for pool in range(1, pools + 1)
        ],
    }


def _request(path: Path, fleet: tuple[str, ...]) -> render.Request:
    return render.Request(ChangeFolder(path), "bench", path.name, "haproxy", ROLE, fleet=fleet)
