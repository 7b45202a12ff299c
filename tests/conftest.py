"""What all tests have: a lab's name of its own for each process that runs tests."""

import os

from evenkeel.containers.names import lab_name


def pytest_configure(config):
    """Two processes at the same time must not stop one another's containers."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        os.environ["EVENKEEL_LAB"] = f"{lab_name()[:30]}-{worker}"
