"""How the driver reads a configuration: words, listeners, certificates, and who is counted."""

from __future__ import annotations

from unit.balancer_haproxy.driver_parts import config, driver, part

reading = part("declared")
read_config = config("parser").read

CONFIG = """
defaults
    mode http
frontend web
    bind *:80
    bind 192.0.2.7:443,[2001:db8::7]:443 ssl crt /etc/ssl/x.pem alpn h2,http/1.1
    bind 192.0.2.8:81 accept-proxy
frontend wire
    mode tcp
    bind :3306
    bind /run/haproxy/x.sock
backend hashed
    stick-table type integer size 4096 expire 24h nopurge
    stick store-request src,xxh32
backend own
    stick-table type ip size 1m expire 24h
    stick on src
backend timed
    http-response set-var(proc.evenkeel_slow_7) var(proc.evenkeel_slow_7),add(1) if { int(1) }
"""

READ = read_config({"haproxy.cfg": CONFIG})


def test_only_pools_that_the_roles_own_lines_count_are_read() -> None:
    assert reading.counted(READ) == ({"hashed"}, {"timed": "7"})


def test_each_bind_of_a_listener_says_where_and_how() -> None:
    found = reading.listeners(READ)
    rows = [
        (one["address"], one["port"], one["tls"], one["http"], one["accept_proxy"])
        for one in found["web"]
    ]
    assert rows == [
        ("*", 80, False, True, False),
        ("192.0.2.7", 443, True, True, False),
        ("2001:db8::7", 443, True, True, False),
        ("192.0.2.8", 81, False, True, True),
    ]
    assert [(one["port"], one["http"]) for one in found["wire"]] == [(3306, False)]


def test_the_certificates_of_a_release_are_those_that_crt_names(tmp_path):
    (tmp_path / "haproxy.cfg").write_text(
        "global\n crt-base /etc/certs\nfrontend a\n bind :443 ssl crt a.pem crt /srv/b.pem\n"
        "backend b\n # bind :1 crt no.pem\n server c 10.0.0.1:1 ssl crt 'c.pem' verify none\n"
    )
    found = driver.DRIVER().certificates(str(tmp_path))
    assert found == ["/etc/certs/a.pem", "/srv/b.pem", "/etc/certs/c.pem"]
