"""What a rehearsal cannot know: the lab's servers with habits of their own, as production's have.

Beside the web servers (port 80) there is an application at API_PORT and an older release of it at
OLD_PORT, at the address of each web server. They answer every health check that they know, and

- know one name only: a request for another host is answered with 500, a health check with 421;
- know one health check, /health; any other path below /health is answered with 404;
- hang up on what is no HTTP, such as the PROXY protocol;
- answer below `/api/items/` (which clients ask for, and no route test does) with HEADER_BYTES of
  headers, and every fourth time after SLOW_SECONDS; the older release answers 500 there.
"""

from __future__ import annotations

from evenkeel.errors import Refused
from evenkeel_proof.lab.running import Fleet, wait_for_port

API_PORT, OLD_PORT = 8080, 8081
SLOW_SECONDS = 0.4
HEADER_BYTES = 6000

_UNIT = "evenkeel-production.service"
_CONFIG = "/etc/evenkeel-web/production.cfg"
_HEADERS = 4
_TOP = f"""\
global
    maxconn 4000
    nbthread 1

defaults
    mode http
    timeout client 1h
    timeout http-keep-alive 1h
    timeout http-request 30s
    timeout tarpit {SLOW_SECONDS * 1000:.0f}ms
    errorfile 400 /dev/null
"""
# `tarpit` is HAProxy's way to answer late.
_API = """
frontend {name}-api
    bind {address}:{port}
    http-request return status 404 if {{ path_beg /health }} !{{ path /health }}
    acl named req.hdr(host) -i shop.example
    http-request return status 421 if {{ path /health }} {{ req.hdr(host) -m found }} !named
    http-request return status 200 if {{ path /health }}
    http-request return status 500 if !named
    acl item path_beg /api/items/
    http-request tarpit status 200 hdr X-Served-By {name} {headers} if item {{ rand(4) eq 0 }}
    http-request return status 200 hdr X-Served-By {name} {headers} if item
    http-request return status 200 hdr X-Served-By {name}

frontend {name}-old
    bind {address}:{old_port}
    http-request return status 500 if {{ path_beg /api/items/ }}
    http-request return status 200 hdr X-Served-By {name}
"""


def config(web: dict[str, str]) -> str:
    """Give the configuration of these servers, for the machine that all of them run on."""
    filling = "x" * (HEADER_BYTES // _HEADERS)
    headers = " ".join(f"hdr X-Filling-{number} {filling}" for number in range(_HEADERS))
    facts = {"port": API_PORT, "old_port": OLD_PORT, "headers": headers}
    parts = [_API.format(name=name, address=address, **facts) for name, address in web.items()]
    return _TOP + "".join(parts)


def start(fleet: Fleet) -> None:
    """Start these servers on the machine `web`; raises Refused when they do not come up."""
    text = config(dict(fleet.web)).encode()
    fleet.exec("web", ["install", "-m", "644", "/dev/stdin", _CONFIG], stdin=text)
    words = ["systemd-run", "--quiet", "--collect", f"--unit={_UNIT}"]
    done = fleet.exec("web", [*words, "haproxy", "-db", "-f", _CONFIG])
    if done.returncode:
        raise Refused(
            "The lab's production servers did not start",
            where=fleet.container("web"),
            got=done.stderr.decode(errors="replace").strip()[-500:],
            next_step=f"scripts/lab exec web journalctl -u {_UNIT}",
        )
    for address in fleet.web.values():
        wait_for_port(address, API_PORT)


def forbid(fleet: Fleet, host: str, server: str) -> None:
    """Keep a balancer from reaching a web server's address, as a firewall would that refuses."""
    _route(fleet, host, "replace", server)


def allow(fleet: Fleet, host: str, server: str) -> None:
    """Undo `forbid`."""
    _route(fleet, host, "delete", server)


def _route(fleet: Fleet, host: str, do: str, server: str) -> None:
    words = ["ip", "route", do, "prohibit", f"{fleet.web[server]}/32"]
    done = fleet.exec(host, words)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise Refused(f"The way from {host} to {server} could not be set", got=said)
