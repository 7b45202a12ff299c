"""What the controller and the host know of HAProxy's sections is the same."""

import sys

from unit.balancer_haproxy.driver import part
from unit.balancer_haproxy.files import DIALECT

PRINTED = sys.modules[f"{DIALECT.view.__module__}.printed"]


def test_driver_and_dialect_agree_on_the_words_that_open_a_section():
    assert part("reading").SECTIONS == PRINTED.SECTIONS
    assert set(part("allowed").ALLOWED) <= PRINTED.SECTIONS
