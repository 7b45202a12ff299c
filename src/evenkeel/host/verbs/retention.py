"""Named snapshots, and the pruning of what no rollback needs."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import Any, Dict, List, Optional, Set, Tuple

from evenkeel.host.errors import Refused, UsageError
from evenkeel.host.state import live, snapshots
from evenkeel.host.state.journal import Journal
from evenkeel.host.state.machine import Machine
from evenkeel.host.system import durable
from evenkeel.host.system.lease import iso
from evenkeel.host.verbs import revert

KEEP = 10
# The confirmed release, and the target of a `rollback`.
LEAST_GENERATIONS = 2
# A bound, so that the first confirmation is not slower.
MOST_REMOVED_AT_ONCE = 20
# A young inactive release belongs to a coming change.
YOUNG_SECONDS = 3600.0
# Snapshots of the program itself; other names are an operator's.
AUTOMATIC = ("before-", "confirmed-")

Answer = Dict[str, Any]


def snapshot(machine: Machine, name: str, pinned: bool = False, unpin: bool = False) -> Answer:
    """Keep what is live under `name`; `pinned`, so that it is never pruned.

    With `unpin` nothing is kept: the snapshot of that name loses its pin. Raises Refused when the
    name stands for something else, or with `unpin` for nothing.
    """
    if pinned and unpin:
        raise UsageError(
            "A snapshot is either pinned or not",
            where="command line",
            wanted="--pinned or --unpin",
            got="both",
            next_step="leave one of them out",
        )
    if name.startswith(AUTOMATIC):
        raise Refused(
            "This name is reserved for the program's own snapshots",
            where=name,
            wanted="a name that does not begin with " + " or ".join(AUTOMATIC),
            got=name,
            next_step="choose another name",
        )
    with machine.locked("snapshot") as journal:
        revert.settle(machine, journal)
        if unpin:
            return _unpin(machine, journal, name)
        now = live.read(machine)
        if not now.adopted or now.drift or now.digest is None:
            raise Refused(
                "The live configuration is no release of this program",
                where=machine.store.live,
                wanted="a host that was taken over, without edits by hand",
                got=now.drift or "a host that was not taken over yet",
                next_step="deploy a change first",
            )
        if name in machine.store.snapshot_names():
            return _same(machine, journal, name, now.digest, pinned)
        state = machine.driver.runtime_state()
        # The pin of a removed snapshot does not count.
        journal.pins = [pin for pin in journal.pins if pin != name] + ([name] if pinned else [])
        snapshots.take(machine, journal, name, now.digest, state)
        journal.write(machine.steps, "snapshot")
        return {"changed": True, "name": name, "release": now.digest, "pinned": pinned}


def _unpin(machine: Machine, journal: Journal, name: str) -> Answer:
    if name not in machine.store.snapshot_names():
        raise Refused(
            "There is no snapshot of this name",
            where=name,
            wanted="the name of a snapshot",
            got="nothing of that name",
            next_step="see the names in the answer of `status`",
        )
    changed = name in journal.pins
    if changed:
        journal.pins = [pin for pin in journal.pins if pin != name]
        journal.write(machine.steps, "unpinned")
    return {"changed": changed, "name": name, "pinned": False}


def _same(machine: Machine, journal: Journal, name: str, release: str, pinned: bool) -> Answer:
    if machine.store.snapshot_damage(name) is None:
        kept = machine.store.snapshot(name)["release"]
        if kept == release:
            changed = pinned and name not in journal.pins
            if changed:
                journal.pins = [*journal.pins, name]
                journal.write(machine.steps, "pinned")
            is_pinned = name in journal.pins
            return {"changed": changed, "name": name, "release": release, "pinned": is_pinned}
        got = f"release {kept[:12]}"
    else:
        got = "a damaged snapshot"
    raise Refused(
        "There is a snapshot of this name already",
        where=name,
        wanted=f"no snapshot of this name, or one of release {release[:12]}",
        got=got,
        next_step="choose another name",
    )


def prune(machine: Machine, keep: Optional[int], max_age_days: Optional[float]) -> Answer:
    """Remove generations beyond the newest `keep`, and what only they needed.

    With `max_age_days`, generations and people's snapshots go too once they are older, but neither
    the newest two generations nor a pinned snapshot.
    """
    with machine.locked("prune") as journal:
        revert.settle(machine, journal)
        removed = machine.store.sweep()
        removed += _prune(machine, journal, KEEP if keep is None else keep, max_age_days, 0)
        return {"changed": bool(removed), "removed": removed}


def tidy(machine: Machine, journal: Journal) -> Answer:
    """Prune a little, under the lock that the caller holds. Never raises: no verb waits for it.

    Gives `removed`, and `not_removed` with the reason when something went wrong.
    """
    try:
        return {"removed": _prune(machine, journal, KEEP, None, MOST_REMOVED_AT_ONCE)}
    except Exception as error:
        return {"removed": [], "not_removed": f"{type(error).__name__}: {error}"[:300]}


def _prune(
    machine: Machine, journal: Journal, keep: int, max_age_days: Optional[float], limit: int
) -> List[str]:
    """Remove what nobody needs, at most `limit` snapshots and releases when it is not 0."""
    kept = _kept_generations(machine, journal, keep, max_age_days)
    if len(kept) < len(journal.generations):
        journal.generations = kept
        journal.write(machine.steps, "pruned")
    removed = _prune_snapshots(machine, journal, max_age_days, limit)
    removed += _prune_releases(machine, journal, limit)
    removed += _prune_approvals(machine, journal)
    return removed + _prune_observations(machine, journal)


def _kept_generations(
    machine: Machine, journal: Journal, keep: int, max_age_days: Optional[float]
) -> List[Dict[str, Any]]:
    """Give the newest `keep` that are not too old, and always what a rollback would go to."""
    newest = journal.generations[-max(LEAST_GENERATIONS, keep) :]
    older, last = newest[:-LEAST_GENERATIONS], newest[-LEAST_GENERATIONS:]
    if max_age_days is not None:
        oldest = iso(machine.clock.wall() - max_age_days * 86400)
        older = [one for one in older if str(one.get("confirmed") or oldest) >= oldest]
    return older + last


def _prune_snapshots(
    machine: Machine, journal: Journal, max_age_days: Optional[float], limit: int
) -> List[str]:
    store = machine.store
    removed: List[str] = []
    needed, kept = _needed_snapshots(machine, journal), _kept_releases(machine, journal)
    for name in store.snapshot_names():
        path = os.path.join(store.snapshots, name)
        age = machine.clock.wall() - os.stat(path).st_mtime
        if name in journal.pins:
            continue
        if name.startswith(AUTOMATIC):
            goes = name not in needed and age > YOUNG_SECONDS
        else:
            goes = max_age_days is not None and age > max_age_days * 86400
        if goes:
            _spare(machine, name, kept)
            _remove(machine, f"snapshot {name}", path)
            removed.append(f"snapshot {name}")
            if len(removed) == limit:
                break
    return removed


def _needed_snapshots(machine: Machine, journal: Journal) -> Set[str]:
    """Give the automatic snapshots that a kept generation or the pending change may need.

    Those that are named after a kept change or the pending one, of releases that are kept, and the
    newest of each such release: its second copy.
    """
    store, pending = machine.store, journal.pending or {}
    releases = _kept_releases(machine, journal)
    changes = {str(g["change"]) for g in journal.generations} | {str(pending.get("change"))}
    names = {prefix + change for prefix in AUTOMATIC for change in changes}
    needed: Set[str] = set()
    newest: Dict[str, Tuple[str, str]] = {}
    for name in store.snapshot_names():
        if not name.startswith(AUTOMATIC):
            continue
        try:
            meta = store.snapshot(name)
        except (OSError, ValueError):
            continue
        release, created = str(meta.get("release")), str(meta.get("created"))
        if release in releases:
            if name in names:
                needed.add(name)
            newest[release] = max(newest.get(release, ("", "")), (created, name))
    return needed | {name for _, name in newest.values()}


def _kept_releases(machine: Machine, journal: Journal) -> Set[str]:
    """Give the releases that are live, confirmed or part of what is under way."""
    pending = journal.pending or {}
    releases = {str(g["release"]) for g in journal.generations}
    releases |= {str(pending[key]) for key in ("release", "from", "to") if pending.get(key)}
    return releases | {str(machine.store.live_digest())}


def _spare(machine: Machine, name: str, kept: Set[str]) -> None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if machine.store.snapshot(name)["release"] in kept:
            machine.store.spare(name, "", machine.clock.now())


def _prune_releases(machine: Machine, journal: Journal, limit: int) -> List[str]:
    store = machine.store
    removed: List[str] = []
    needed = _kept_releases(machine, journal)
    for name in store.snapshot_names():
        try:
            needed.add(store.snapshot(name)["release"])
        except (OSError, ValueError):
            continue
    for digest in store.release_names():
        path = store.release_dir(digest)
        if digest not in needed and machine.clock.wall() - os.stat(path).st_mtime > YOUNG_SECONDS:
            _remove(machine, f"release {digest[:12]}", path)
            removed.append(f"release {digest}")
            if len(removed) == limit:
                break
    return removed


def _prune_approvals(machine: Machine, journal: Journal) -> List[str]:
    """Remove the approvals of changes that are neither pending nor a kept generation."""
    needed = {str(g["change"]) for g in journal.generations}
    needed.add(str((journal.pending or {}).get("change")))
    removed: List[str] = []
    for change in machine.store.approval_names():
        path = machine.store.approvals_of(change)
        age = machine.clock.wall() - os.stat(path).st_mtime
        if change not in needed and age > YOUNG_SECONDS:
            machine.steps.run(f"approvals of {change}: remove", partial(os.unlink, path))
            removed.append(f"approvals of {change}")
    return removed


def _prune_observations(machine: Machine, journal: Journal) -> List[str]:
    pending = journal.pending or {}
    removed = []
    for name in sorted(os.listdir(machine.store.observations)):
        path = os.path.join(machine.store.observations, name)
        used = pending and name.startswith(f"{pending['change']}-")
        if used or not name.endswith((".json", ".json.lock")) or os.path.isdir(path):
            continue
        if machine.clock.wall() - os.stat(path).st_mtime > YOUNG_SECONDS:
            durable.unlink(machine.steps, f"observation {name}", path)
            removed.append(f"observation {name}")
    return removed


def _remove(machine: Machine, name: str, path: str) -> None:
    """Take the name away in one rename, then the content: a kill leaves nothing half there."""
    aside = durable.temporary_name(path)
    machine.steps.run(f"{name}: remove", lambda: os.rename(path, aside))
    durable.sync_folder(os.path.dirname(path))
    machine.store.discard(aside)
