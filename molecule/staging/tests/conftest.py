"""The containers of this run and what was measured in them."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import testinfra

from evenkeel.lab import podman
from evenkeel.rehearsal import checks
from evenkeel.rehearsal.plan import Bundle, Settings, container

SETTINGS = Settings.read()
BUNDLES = SETTINGS.bundles()


@dataclass(frozen=True)
class Rehearsed:
    """One bundle after its rehearsal, with its container still running."""

    bundle: Bundle

    @cached_property
    def host(self) -> Any:
        sudo = "?sudo=true" if podman.as_root() else ""
        return testinfra.get_host(f"podman://{container(self.bundle)}{sudo}")

    @cached_property
    def world(self) -> dict[str, Any]:
        return self._result("world")

    @property
    def activated(self) -> bool:
        return self._result("measured")["after"] is not None

    @cached_property
    def checks(self) -> list[dict[str, Any]]:
        return checks.judge(self.world, self._result("measured"), self._result("reloads"))

    def _result(self, what: str) -> dict[str, Any]:
        path = SETTINGS.results / f"{self.bundle.name}.{what}.json"
        return json.loads(path.read_text(encoding="utf-8"))


def pytest_generate_tests(metafunc) -> None:
    if "rehearsed" in metafunc.fixturenames:
        metafunc.parametrize(
            "rehearsed", [Rehearsed(b) for b in BUNDLES], ids=[b.name for b in BUNDLES]
        )
