"""Judge a change on hold while no controller does: at each run of the timer.

A held change waits for a person, for minutes or hours. Its last watch lies on this host with its
policy and the counters that it ended with; one look takes in what the balancer counted since then.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any, Dict, Optional, Tuple

from evenkeel.host.errors import BalancerDown, BalancerError
from evenkeel.host.state.journal import ACTIVATED, CHANGE, Journal
from evenkeel.host.state.machine import LARGEST_WATCH_BYTES, Machine
from evenkeel.host.system import durable
from evenkeel.host.system.sha256 import canonical
from evenkeel.host.verbs import reload_proof
from evenkeel.judge.host_watch import WORKER, HostWatch
from evenkeel.judge.verdict import FAIL

# The timer takes the next look after this.
LOOK_SECONDS = 30.0


def look(machine: Machine, journal: Journal) -> Tuple[bool, str]:
    """Give whether the pending change was watched on this host, and why it has to go back, or "".

    Nothing is judged while somebody else watches, and nothing that another worker has counted.
    """
    pending = journal.under_way()
    if (pending["kind"], pending["phase"]) != (CHANGE, ACTIVATED):
        return False, ""
    name = f"{pending['change']}-{pending['release'][:16]}.json"
    path = os.path.join(machine.store.observations, name)
    if not os.path.exists(path):
        return False, ""
    handle = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True, _look(machine, pending, path)
    except BlockingIOError:
        return True, ""
    finally:
        os.close(handle)


def _look(machine: Machine, pending: Dict[str, Any], path: str) -> str:
    saved = _saved(path)
    try:
        seen = machine.driver.observe()
    except BalancerDown as error:
        return f"the balancer does not run: {error}"[:300]
    except BalancerError:
        # It may answer next time; the lease ends anyway.
        return ""
    fallen = reload_proof.restarted(pending.get("proof"), seen)
    worker = reload_proof.worker_of(seen)
    if fallen or saved is None or any(saved["previous"][key] != worker[key] for key in WORKER):
        return fallen
    try:
        watch = HostWatch.from_state(saved["watch"])
        watch.sample(saved["previous"], seen)
    except ValueError:
        return ""
    state = {**saved, "watch": watch.state(), "previous": seen}
    durable.write_file(machine.steps, "observation", path, canonical(state))
    if watch.verdict() != FAIL:
        return ""
    return "; ".join(watch.result()["reasons"])[:500] or "the judge said fail"


def _saved(path: str) -> Optional[Dict[str, Any]]:
    """Give what the last watch left; None when it is damaged: then there is nothing to go on."""
    data = durable.read_if_there(path, LARGEST_WATCH_BYTES)
    try:
        saved: Dict[str, Any] = json.loads(data or b"")
        return saved if all(key in saved["previous"] for key in WORKER) else None
    except (ValueError, KeyError, TypeError):
        return None
