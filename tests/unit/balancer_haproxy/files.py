"""A configuration by hand in which no rule finds anything, and edits of it."""

import sys
from pathlib import Path

from evenkeel.balancer.dialect import load_dialect

ROLE = Path(__file__).parents[3] / "roles" / "balancer_haproxy"
DIALECT = load_dialect(ROLE)
READING = sys.modules["evenkeel_dialect_balancer_haproxy.config.parser"]
RULES = sys.modules["evenkeel_dialect_balancer_haproxy.policy.rule"].BOOK.rules

SOUND = """\
global
    log /dev/log local0
    maxconn 20000
    nbthread 4

resolvers dns
    nameserver one 10.0.0.2:53
    hold valid 10s

defaults
    log global
    mode http
    option redispatch
    option forwardfor
    retries 3
    maxconn 10000
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout queue 5s
    timeout tunnel 1h

frontend www
    bind *:80
    bind *:443 ssl crt /etc/haproxy/site.pem
    acl is_api path_beg /api
    use_backend api if is_api
    default_backend app

frontend metrics
    bind 127.0.0.1:8404
    stats uri /

backend app
    balance roundrobin
    option httpchk
    http-check send meth GET uri /health
    http-check expect status 200
    cookie SRV insert indirect nocache
    default-server check inter 2s fall 3
    server app1 10.0.0.1:8080 cookie a1 maxconn 200 weight 100
    server app2 10.0.0.2:8080 cookie a2 maxconn 200 weight 100
    server app3 10.0.0.3:8080 cookie a3 maxconn 200 weight 100

backend api
    balance leastconn
    option httpchk GET /up
    server api1 10.0.1.1:8080 check maxconn 100
    server api2 10.0.1.2:8080 check maxconn 100
    server api3 10.0.1.3:8080 check maxconn 100
"""


def edited(*edits, text=SOUND):
    """Give `text` with each (old, new) put in its place; an old text that is not there is wrong."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def findings(text, base=SOUND):
    files = {"haproxy.cfg": text.encode()}
    return DIALECT.rules(files, {"haproxy.cfg": base.encode()} if base else None)


def stopped(text, base=SOUND):
    return {one["rule"] for one in findings(text, base) if one["severity"] == "stop"}


def told(text, base=SOUND):
    return {one["rule"] for one in findings(text, base) if one["severity"] == "tell"}
