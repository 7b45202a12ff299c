"""The host that a verb works on: its store, journal, driver, clock, timers and steps, together."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Dict, Iterator, List, Optional

from evenkeel.host.state import approval_policy
from evenkeel.host.state.journal import Journal, journal_path
from evenkeel.host.state.store import Store
from evenkeel.host.system import durable, lock
from evenkeel.host.system.driver import Driver
from evenkeel.host.system.lease import Clock
from evenkeel.host.system.steps import Steps
from evenkeel.host.system.systemd import Units

VERSION = "0.1.0"
# Longer than an activation; the timer waits for the slowest.
LOCK_SECONDS = 20.0
EXPIRE_LOCK_SECONDS = 150.0
RELOAD_SECONDS = 60.0
# The saved state of a watch.
LARGEST_WATCH_BYTES = 64 * 1024 * 1024
# As many old workers, kept by long connections, block reloads.
MOST_LEAVING = 20


class Machine:
    """Everything a verb needs, so that a test can replace any of it."""

    def __init__(
        self,
        balancer: str,
        store: Store,
        driver: Driver,
        units: Units,
        clock: Clock,
        steps: Steps,
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        self.balancer = balancer
        self.store = store
        self.driver = driver
        self.units = units
        self.clock = clock
        self.steps = steps
        self.lock_seconds = lock_seconds
        self.expire_lock_seconds = EXPIRE_LOCK_SECONDS
        self.reload_seconds = RELOAD_SECONDS
        # What else a verb did or failed to do.
        self.notes: List[str] = []
        self.policy_folder = os.path.join(approval_policy.ROOT, balancer)
        self.most_leaving = MOST_LEAVING

    def journal(self) -> Journal:
        """Read the journal as it is on disk now."""
        return Journal.read(journal_path(self.store.root))

    @contextlib.contextmanager
    def locked(self, verb: str, wait_seconds: float = 0.0) -> Iterator[Journal]:
        """Hold the host's lock and give its journal."""
        with lock.held(self.store.lock, verb, wait_seconds or self.lock_seconds) as in_order:
            if not in_order:
                self._sync_names()
            yield self.journal()

    def policy(self) -> Optional[approval_policy.Policy]:
        """Give what root here demands of a change, None when that is nothing. Raises Refused."""
        return approval_policy.read(self.policy_folder)

    def _sync_names(self) -> None:
        """Make durable what a killed run has renamed: what is decided from must not be lost."""
        natives = {os.path.dirname(path) for path in self.driver.NATIVE_PATHS.values()}
        for folder in [*self.store.folders(), *sorted(natives)]:
            # A verb that needs it fails at its own writes.
            with contextlib.suppress(OSError):
                durable.sync_folder(folder)

    def versions(self) -> Dict[str, Any]:
        """Give the versions that a snapshot records."""
        python = ".".join(str(part) for part in sys.version_info[:3])
        return {"program": VERSION, "balancer": self.driver.version(), "python": python}
