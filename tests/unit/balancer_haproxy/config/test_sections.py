"""What the controller and the host know of HAProxy's sections is the same."""

import sys

from unit.balancer_haproxy.driver_parts import part
from unit.balancer_haproxy.files import DIALECT

PRINTED = sys.modules[f"{DIALECT.view.__module__}.config.words"]


def test_driver_and_dialect_agree_on_the_words_that_open_a_section():
    assert part("declared").SECTIONS == PRINTED.SECTIONS
    assert set(part("allowlist").ALLOWED) <= PRINTED.SECTIONS
