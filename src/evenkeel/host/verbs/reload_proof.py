"""Make the running balancer load what is on disk, and prove that it did.

"Reload exited 0" is not a proof. What counts: another worker than before, started after the flip,
whose own view of pools and servers is what the release declares.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from evenkeel.host.errors import BalancerDown, BalancerError
from evenkeel.host.state.live import difference
from evenkeel.host.state.machine import Machine

# Exact to a clock tick (10 ms).
TICK_SECONDS = 0.02
START_SECONDS = 30.0


def worker_of(facts: Mapping[str, Any]) -> Dict[str, Any]:
    """Give what identifies a worker."""
    return {"worker_pid": facts["worker_pid"], "worker_started": facts["worker_started"]}


def reload(
    machine: Machine, digest: str, before: Optional[Dict[str, Any]], state: Dict[str, Any]
) -> Dict[str, Any]:
    """Reload, prove that the new worker has `digest`, and give it the runtime `state` back.

    `before` is the worker that ran until now. Gives the proof. Raises BalancerError when the
    running process does not have the release.
    """
    since = machine.clock.boottime()
    proof = machine.steps.run(
        "balancer: reload", lambda: machine.driver.reload(machine.reload_seconds)
    )
    # Until then a drained server gets requests.
    refused = restore(machine, state)
    if before is not None and worker_of(proof) == before:
        raise BalancerError(f"worker {before['worker_pid']} was not replaced by the reload")
    if proof["worker_started"] < since - TICK_SECONDS:
        raise BalancerError(f"worker {proof['worker_pid']} is older than the files it should have")
    counted = _demand(machine, digest, proof)
    return {**proof, **counted, "reloaded": True, "runtime_state_refused": refused}


def start(machine: Machine, digest: str) -> Dict[str, Any]:
    """Start the balancer, which does not run, and prove that it has `digest`."""
    machine.steps.run("balancer: start", lambda: machine.units.start(machine.driver.UNIT))
    until = machine.clock.boottime() + START_SECONDS
    while True:
        try:
            facts = machine.driver.loaded()
            break
        except BalancerDown:
            if machine.clock.boottime() >= until:
                raise
            machine.clock.sleep(0.1)
    return {**worker_of(facts), **_demand(machine, digest, facts), "reloaded": False}


def _demand(machine: Machine, digest: str, worker: Mapping[str, Any]) -> Dict[str, Any]:
    declared = machine.driver.declared(machine.store.release_dir(digest))
    loaded = machine.driver.loaded()
    if worker_of(loaded) != worker_of(worker):
        raise BalancerError("the worker changed again while it was looked at")
    if loaded["pools"] != declared:
        raise BalancerError(
            "the running pools and servers are not the declared ones: "
            + difference(declared, loaded["pools"])
        )
    servers = sum(len(names) for names in declared.values())
    counted = {"pools": len(declared), "servers": servers, "release": digest}
    return {**counted, "service_started": loaded.get("service_started")}


def restarted(proof: Optional[Dict[str, Any]], facts: Mapping[str, Any]) -> str:
    """Say so when the service was restarted since `proof`; empty when it was not.

    A worker that dies after its reload was proven takes the service with it, and systemd starts
    that again with the same bytes: they run, and they have killed a worker.
    """
    before, now = (proof or {}).get("service_started"), facts.get("service_started")
    if before is None or now is None or abs(float(now) - float(before)) <= TICK_SECONDS:
        return ""
    pid = (proof or {}).get("worker_pid")
    return f"the balancer was restarted after its reload was proven: worker {pid} has died"


def restore(machine: Machine, state: Dict[str, Any]) -> Any:
    """Give the worker the runtime state `state` again; give the servers that refused it."""
    if not state:
        return []
    return machine.steps.run(
        "balancer: restore runtime state", lambda: machine.driver.restore_runtime_state(state)
    )
