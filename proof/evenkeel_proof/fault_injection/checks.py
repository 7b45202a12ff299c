"""What is demanded of a host after a fault: one release, served and agreed on, and a way ahead."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evenkeel_proof.fault_injection.fault_host import FaultHost, Release, live_files
from evenkeel_proof.fault_injection.tally import demand

METRICS = "/var/lib/evenkeel/metrics/evenkeel.prom"


def one_of(
    host: FaultHost, releases: Sequence[Release], status: Mapping[str, Any] | None = None
) -> Release:
    """Give the release that is live, served and running. Raises Stranded when they are not one.

    `status` is what the host has just said, when it was asked already.
    """
    status = status or host.status()
    live = live_files(status)
    found = [release for release in releases if dict(release.files) == live]
    demand(found, "the live bytes are neither the old nor the new ones")
    demand(not status["drift"], f"drift: {status['drift_reason']}")
    running = status["running"]
    demand(running["agrees"], f"the process does not agree with the disk: {json.dumps(running)}")
    demand_served(host, found[0])
    return found[0]


def demand_served(host: FaultHost, release: Release) -> None:
    """Raise Stranded when another server answers than one of `release`, or none."""
    server = host.served()
    mine = {release.server} if release.server else {"web1", "web2", "web3"}
    demand(server in mine, f"served by {server or 'nobody'}, wanted {' or '.join(sorted(mine))}")


def recovered(host: FaultHost, releases: Sequence[Release]) -> tuple[Release, bool]:
    """Recover a host after a crash and demand that it is whole.

    Gives the release that it has then, and whether that still waits for its confirmation.
    """
    demand(host.served(), "nobody answers after the crash")
    recover, status = (host.words("recover"), b""), (host.words("status", "--files"), b"")
    journal = (["cat", f"{host.store}/journal"], b"")
    lock = (["flock", "--nonblock", f"{host.store}/lock", "true"], b"")
    done = host.batch(recover, status, journal, recover, status, journal, lock)
    codes, said = [code for code, _ in done], [answer for _, answer in done]
    demand(codes[0] == codes[3] == 0, f"recover ended with {codes[0]}, then {codes[3]}")
    demand(codes[6] == 0, "the lock is still held")
    release = one_of(host, releases, said[1])
    # What waits under its lease has its timer armed anew each time, and nothing else.
    pending = said[1]["pending"] is not None
    again = said[3]
    demand(pending or not again["changed"], f"a second recover repaired {again['repaired']}")
    before, after = _still(said[1], said[2]), _still(said[4], said[5])
    demand(before == after, "a second recover changed the journal or the worker")
    return release, pending


def _still(status: Mapping[str, Any], journal: Mapping[str, Any] | str) -> dict[str, Any]:
    """Give what nothing may change."""
    value = dict(journal) if isinstance(journal, Mapping) else {}
    if value.get("pending"):
        value["pending"] = {**value["pending"], "timer": None}
    return {"journal": value, "worker": status["running"]}


def goes_on(host: FaultHost) -> None:
    """Demand that the next change goes all the way."""
    release = host.new_release()
    host.deploy(release)
    demand(one_of(host, [release]) == release, "the next change is not live")


def went_back(host: FaultHost, change: str, old: Release, unit: str) -> dict[str, Any]:
    """Wait until the host has gone back from `change` by itself, and demand that it says so.

    In status, in its journal, in the journal of systemd (where `unit` may be a pattern) and in the
    metrics file. Gives what the journal says of it.
    """

    def closed() -> Any:
        journal = host.journal()
        last = journal.get("last") or {}
        return journal.get("pending") is None and last.get("change") == change and last

    last = host.wait_for(closed, f"{change} is taken back")
    demand(last["outcome"] == "reverted", f"the journal says {last['outcome']}")
    one_of(host, [old])
    said = host.must("status")["last"]
    demand(said == last, "status does not say what the journal says")
    word = f'"change":"{change}"'
    lines = host.shell('journalctl --no-pager -o cat -u "$1" | grep -F "$2"', unit, word)
    demand('"outcome":"reverted"' in lines, f"systemd's journal of {unit} does not tell of it")
    host.must("metrics", "--output", METRICS)
    row = f'change="{change}",outcome="reverted"'
    demand(row in host.shell('cat "$1"', METRICS), "the metrics file does not tell of it")
    return dict(last)
