"""The options that all servers of a pool share: health checks and TLS."""

from __future__ import annotations

from typing import Any, List, Mapping

from evenkeel.balancer.types import Check

from .quoting import duration, quote


def lines_for_servers(pool: Mapping[str, Any]) -> List[str]:
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
    """Give the options for TLS. A server's certificate must be for the name that is sent to it."""
    words = ["ssl"]
    if tls["verified"]:
        words.append(f"verify required ca-file {quote(tls['authorities'])}")
    else:
        words.append("verify none")
    if tls["server_name"]:
        words.append(f"sni str({tls['server_name']})")
        if is_checked:
            # Checks ignore `sni`.
            words.append(f"check-sni {tls['server_name']}")
    return words


def _http_check(check: Check) -> List[str]:
    send = f"http-check send meth GET uri {quote(check['path'] or '/')}"
    if check["host"]:
        send += f" ver HTTP/1.1 hdr Host {quote(check['host'])}"
    expected = ",".join(str(status) for status in check["expect_status"] or [200])
    return ["option httpchk", send, f"http-check expect status {expected}"]
