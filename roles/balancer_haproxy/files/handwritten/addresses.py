"""Addresses and ports that a rehearsal can set up."""

from __future__ import annotations

import ipaddress

from ..config.values import number


def is_address(text: str) -> bool:
    """Whether a text is an address of IPv4 or IPv6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_port(text: str) -> bool:
    """Whether a text is a port that a process can listen on."""
    return 0 < (number(text) or 0) < 65536
