"""What the controller and the host know of HAProxy's sections is the same."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from evenkeel.lab.names import ROOT

FILES = ROOT / "roles" / "balancer_haproxy" / "files"


def load(name: str) -> ModuleType:
    """Load a file of the role, as neither of its places does it."""
    spec = importlib.util.spec_from_file_location(f"sections_{name}", FILES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_driver_and_dialect_agree_on_the_words_that_open_a_section() -> None:
    driver, printed = load("driver"), load("printed")
    assert driver._SECTIONS == printed.SECTIONS
    assert set(driver._ALLOWED) <= driver._SECTIONS
