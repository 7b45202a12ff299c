"""How the servers of a pool are spoken to: their health checks, and TLS.

Standard library only, Python 3.8 syntax: this file belongs to the role and may run anywhere.
"""

from __future__ import annotations

from typing import Any, List, Mapping

from evenkeel.balancer.types import Check

from .quoting import duration, quote


def how_they_are_asked(pool: Mapping[str, Any]) -> List[str]:
    """Give the lines of a pool that hold for each of its servers."""
    check: Check = pool["check"]
    tls = pool["tls"]
    lines = _http_check(check) if check["kind"] == "http" else []
    words = []
    if check["kind"] != "none":
        interval = duration(check["interval_seconds"])
        words.append(f"check inter {interval} rise {check['rise']} fall {check['fall']}")
    if tls:
        words += _tls(tls, is_checked=check["kind"] != "none")
    return [*lines, f"default-server {' '.join(words)}"] if words else lines


def _tls(tls: Mapping[str, Any], is_checked: bool) -> List[str]:
    """Give the words for TLS. With a name told to the server, its certificate has to be for it."""
    words = ["ssl"]
    if tls["verified"]:
        words.append(f"verify required ca-file {quote(tls['authorities'])}")
    else:
        words.append("verify none")
    if tls["server_name"]:
        words.append(f"sni str({tls['server_name']})")
        if is_checked:
            # A check is told no name by `sni`.
            words.append(f"check-sni {tls['server_name']}")
    return words


def _http_check(check: Check) -> List[str]:
    send = f"http-check send meth GET uri {quote(check['path'] or '/')}"
    if check["host"]:
        send += f" ver HTTP/1.1 hdr Host {quote(check['host'])}"
    expected = ",".join(str(status) for status in check["expect_status"] or [200])
    return ["option httpchk", send, f"http-check expect status {expected}"]
