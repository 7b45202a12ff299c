"""What HAProxy's driver reads of a configuration: who is counted, and where it listens."""

from __future__ import annotations

from unit.host.test_haproxy_guard import driver

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
""".splitlines()


def test_only_pools_that_the_roles_own_lines_count_are_read() -> None:
    assert driver.counted(CONFIG) == ({"hashed"}, {"timed": "7"})


def test_each_bind_of_a_listener_says_where_and_how() -> None:
    found = driver.listeners(CONFIG)
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
