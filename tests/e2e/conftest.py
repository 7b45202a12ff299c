"""The lab that every end-to-end test runs on: one of its own, made fresh and removed afterwards."""

import os

import pytest
from e2e.helpers import Road
from evenkeel_proof import lab
from evenkeel_proof.lab import client_unit

from evenkeel.containers.names import lab_name


@pytest.fixture(scope="module")
def fleet():
    """Three balancers as they were before Evenkeel came; tests that change them say so."""
    before = os.environ.get("EVENKEEL_LAB")
    # Not the lab that the demo, or the person at this checkout, may be using.
    os.environ["EVENKEEL_LAB"] = f"{lab_name()[:36]}-e2e"
    try:
        yield lab.start(fresh=True)
    finally:
        lab.stop()
        if before is None:
            del os.environ["EVENKEEL_LAB"]
        else:
            os.environ["EVENKEEL_LAB"] = before


@pytest.fixture
def traffic(fleet):
    """Sends steady traffic through all balancers during the test; gives a reader of its totals."""
    client_unit.start(fleet, rate=80, seconds=1800)
    yield lambda: client_unit.read(fleet)
    client_unit.stop(fleet)


@pytest.fixture(scope="session")
def road(tmp_path_factory):
    """The playbooks over a lab whose hosts have the program; see `Road`.

    A lab of its own: what is told of hosts before Evenkeel came must not depend on the order of
    the tests.
    """
    name = f"{lab_name().removesuffix('-e2e')[:35]}-road"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENKEEL_LAB", name)
        fleet = lab.start(fresh=True)
    try:
        made = Road(fleet, tmp_path_factory.mktemp("road"))
        made.install()
        yield made
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EVENKEEL_LAB", name)
            lab.stop()
