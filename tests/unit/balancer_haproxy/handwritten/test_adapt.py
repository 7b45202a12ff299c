"""What is live elsewhere is rehearsed as a host would take it, and every such line is told."""

import pytest
from unit.balancer_haproxy.driver_parts import part

from evenkeel.balancer.dialect import load_dialect
from evenkeel.containers.names import ROOT

ROLE = ROOT / "roles" / "balancer_haproxy"
DIALECT = load_dialect(ROLE)
OLD = """\
global
    chroot /usr/share/haproxy
    user nobody
    pidfile /var/run/haproxy.pid
    stats socket /var/run/haproxy.sock mode 600 level admin
    stats timeout 30s
    log /var/lib/log.sock local0
    log /dev/log local0
    crt-base /opt/tls
# user root
frontend www
    bind :443 ssl crt /opt/tls/site.pem ca-file /etc/ssl/ca.pem
    errorfile 503 /etc/haproxy/errors/503.http
    errorfile 502 /opt/pages/502.http
    acl bad src -f /etc/haproxy/bad.lst
    acl worse src -f /etc/haproxy/lists/worse.lst
    use_backend %[req.hdr(host),lower,map(/etc/haproxy/hosts.map,web)]
"""


def accepted(text):
    files, told = DIALECT.adapt({"haproxy.cfg": text.encode()})
    return files["haproxy.cfg"].decode(), told


def test_what_a_host_demands_is_added_at_the_end_and_told():
    text, told = accepted("global\n    user haproxy\n")
    assert told == ["chroot /var/lib/haproxy", "group haproxy"]
    assert text.startswith("global\n    user haproxy\n")
    assert accepted(text) == (text, [])


def test_what_a_host_takes_otherwise_is_put_there_and_told():
    text, told = accepted(OLD)
    assert told == [
        "chroot /var/lib/haproxy",
        "user haproxy",
        "without pidfile /var/run/haproxy.pid",
        "without stats socket /var/run/haproxy.sock",
        "without log /var/lib/log.sock local0",
        "/opt/tls at /etc/haproxy/opt_tls",
        "/opt/tls/site.pem at /etc/haproxy/opt_tls_site.pem",
        "/opt/pages/502.http at /etc/haproxy/errors/opt_pages_502.http",
        "/etc/haproxy/bad.lst at /etc/haproxy/lists/etc_haproxy_bad.lst",
        "/etc/haproxy/hosts.map at /etc/haproxy/lists/etc_haproxy_hosts.map",
        "group haproxy",
    ]
    assert "# user root" in text and "    log /dev/log local0\n" in text
    assert accepted(text) == (text, [])


def test_lines_keep_their_numbers():
    text, _ = accepted(OLD)
    assert text.split("\n")[10].startswith("frontend www")


@pytest.mark.parametrize(
    "line",
    ["lua-load /tmp/x.lua", "external-check", 'log "$SECRET" local0', "insecure-fork-wanted"],
)
def test_a_line_that_could_run_something_is_left_for_the_host_to_refuse(line):
    text, _ = accepted(f"global\n    {line}\n")
    assert line in text


def test_a_host_takes_what_was_put_right():
    forbidden = part("guard").forbidden
    text, _ = accepted(OLD)
    assert forbidden(text) == []
    assert forbidden(OLD)
