"""What each of the lab's machines is given before it boots, as a tar of files.

A balancer gets its keys and a configuration that somebody wrote by hand; the web machine gets its
servers; the client gets nothing.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from evenkeel.containers.images import add_file

# The users as the image numbers them (images/host/prepare.sh makes them in this order).
_OWNERS = {"evenkeel": 1000, "admin": 1001}
_FIRST_RELEASE_SERVERS = 3
_UNITS = "etc/systemd/system"

# What Debian's package ships, and below it what somebody wrote: this is where the story begins.
_BY_HAND = """\
global
\tlog /dev/log\tlocal0
\tlog /dev/log\tlocal1 notice
\tchroot /var/lib/haproxy
\tstats socket /run/haproxy/admin.sock mode 660 level admin
\tstats timeout 30s
\tuser haproxy
\tgroup haproxy
\tdaemon

defaults
\tlog\tglobal
\tmode\thttp
\toption\thttplog
\toption\tdontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000

# --- shop -------------------------------------------------
frontend www
        bind *:80
        option forwardfor
        default_backend web

backend web
        balance roundrobin
        option httpchk GET /health
{servers}
"""

# Every field but the server's name is what the server itself saw; `json` escapes what was sent.
_WEB = """\
global
    maxconn 4000
    nbthread 1

defaults
    mode http
    timeout client 1h
    timeout http-keep-alive 1h
    timeout http-request 30s

frontend {name}
    bind {address}:80
    http-request return status 200 content-type application/json hdr X-Served-By {name} \
lf-string '{{"server":"{name}","reached":"%[dst]:%[dst_port]","method":"%[method,json(utf8s)]",\
"path":"%[path,json(utf8s)]","host":"%[req.hdr(host),json(utf8s)]","client":"%[src]",\
"forwarded_for":"%[req.hdr(x-forwarded-for),json(utf8s)]"}}'
"""


def by_hand(web: Mapping[str, str]) -> str:
    """Give the hand-made /etc/haproxy/haproxy.cfg: plain round robin over the first web servers."""
    first = list(web.items())[:_FIRST_RELEASE_SERVERS]
    servers = "\n".join(f"        server {name} {address}:80 check" for name, address in first)
    return _BY_HAND.format(servers=servers)


def balancer(state: Path, host: str, web: Mapping[str, str]) -> bytes:
    """Give a balancer's files: its host key, who may log in, and the configuration made by hand."""
    key = state / "hosts" / host
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add_file(tar, "etc/ssh/ssh_host_ed25519_key", key.read_bytes(), mode=0o600)
        public = key.with_name(f"{host}.pub").read_bytes()
        add_file(tar, "etc/ssh/ssh_host_ed25519_key.pub", public)
        for user, owner in _OWNERS.items():
            _folder(tar, f"home/{user}/.ssh", owner)
            public = (state / "keys" / f"{user}.pub").read_bytes()
            name = f"home/{user}/.ssh/authorized_keys"
            add_file(tar, name, public, mode=0o600, owner=owner)
        add_file(tar, "etc/haproxy/haproxy.cfg", by_hand(web).encode())
    return buffer.getvalue()


def web_machine(web: Mapping[str, str]) -> bytes:
    """Give the files of the machine that all web servers run on, each at an address of its own."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, address in web.items():
            config = _WEB.format(name=name, address=address)
            add_file(tar, f"etc/evenkeel-web/{name}.cfg", config.encode())
            add_file(tar, f"etc/evenkeel-web/{name}.env", f"ADDRESS={address}/24\n".encode())
            wants = f"{_UNITS}/multi-user.target.wants/web@{name}.service"
            _link(tar, wants, f"/{_UNITS}/web@.service")
        _link(tar, f"{_UNITS}/haproxy.service", "/dev/null")
    return buffer.getvalue()


def client() -> bytes:
    """Give the client machine's files: it balances nothing."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _link(tar, f"{_UNITS}/haproxy.service", "/dev/null")
    return buffer.getvalue()


def _folder(tar: tarfile.TarFile, name: str, owner: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, 0o700, owner, owner
    tar.addfile(member)


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)
