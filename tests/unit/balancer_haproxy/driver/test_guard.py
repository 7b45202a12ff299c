"""What HAProxy's driver lets HAProxy read as root: nothing that a caller could become root by."""

from pathlib import Path

import pytest
from unit.balancer_haproxy.driver_parts import driver, part
from unit.balancer_haproxy.files import ROLE

from evenkeel.host.system import process

GLOBAL = "global\n    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n"
GOLDENS = sorted((ROLE.parents[1] / "tests" / "golden" / "haproxy").glob("*/haproxy.cfg"))
forbidden = part("guard").forbidden


def of(section: str, line: str) -> list[str]:
    """What is said of a line in a section; line 6 in every configuration here."""
    if section == "global":
        return forbidden(GLOBAL + "\n" + line + "\n")
    return forbidden(f"{GLOBAL}{section} x\n{line}\n")


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.parent.name)
def test_allows_what_the_template_prints(golden: Path) -> None:
    assert forbidden(golden.read_text("latin-1")) == []


REFUSED = [
    ("global", "lua-load x.lua"),
    ("global", "lua-load-per-thread /tmp/x.lua"),
    ("global", "lua-prepend-path /tmp/?.lua"),
    ("global", '"lua-load" x.lua'),
    ("global", r"\x6cua-load x.lua"),
    ("global", r"lua\-load x.lua"),
    ("global", "\xa0lua-load x.lua"),
    ("global", "no lua-load x.lua"),
    ("global", '"no" strict-limits'),
    ("global", '"" lua-load x.lua'),
    ("frontend", r"http-request den\x79"),
    ("frontend", 'http-request deny "" if FALSE'),
    ("backend", r"server a 10.0.0.1:1 max\x63onn 1"),
    ("global", "user root"),
    ("global", "group root"),
    ("global", "uid 0"),
    ("global", "gid 0"),
    ("global", "chroot /"),
    ("global", "external-check"),
    ("global", "insecure-fork-wanted"),
    ("global", "insecure-setuid-wanted"),
    ("global", "setcap cap_sys_admin"),
    ("global", "setenv LD_PRELOAD /tmp/x.so"),
    ("global", "presetenv LD_PRELOAD /tmp/x.so"),
    ("global", "setenv EVENKEELX x"),
    ("global", "resetenv"),
    ("global", "unsetenv PATH"),
    ("global", "server-state-file /etc/shadow"),
    ("global", "server-state-file /var/lib/evenkeel/haproxy.servers /etc/shadow"),
    ("global", "server-state-base /etc"),
    ("global", "pidfile /etc/cron.d/x"),
    ("global", "ssl-engine x"),
    ("global", "ssl-provider-path /tmp"),
    ("global", "default-path origin /tmp"),
    ("global", "unix-bind prefix /tmp"),
    ("global", "stats socket /tmp/x level admin"),
    ("global", "stats socket /run/haproxy/../x level admin"),
    ("global", "stats socket ipv4@0.0.0.0:9999 level admin"),
    ("global", "log fd@3 local0"),
    ("global", "log /run/systemd/private local0"),
    ("global", "ca-base /root"),
    ("global", "ssl-dh-param-file /etc/shadow"),
    ("global", ".if defined(HOME)"),
    ("global", 'description "${HOME}"'),
    ("global", 'description "$HOME"'),
    ("global", 'description "open'),
    ("global", "description a\x00b"),
    ("global", "h1-case-adjust-file /etc/shadow"),
    ("program", "command /bin/sh"),
    ("crt-store", "load crt /etc/shadow"),
    ("traces", "trace all"),
    ("ring", "backing-file /etc/cron.d/x"),
    ("defaults", "option external-check"),
    ("defaults", "no option external-check"),
    ("backend", "external-check command /bin/sh"),
    ("backend", "load-server-state-from-file local"),
    ("backend", "server-state-file-name /etc/shadow"),
    ("backend", "filter spoe engine e config /etc/shadow"),
    ("backend", "filter opentracing config /etc/shadow"),
    ("backend", "acl x src -f /etc/shadow"),
    ("backend", 'acl x src "-f" /etc/shadow'),
    ("backend", r"acl x src \x2df /etc/shadow"),
    ("backend", r"acl x src -f\x00 /etc/shadow"),
    ("backend", "acl x src -i -m ip -f /etc/haproxy/lists/a -f /etc/shadow"),
    ("backend", "acl x src -m -- -f /etc/shadow"),
    ("backend", "acl x src a -- -f /etc/shadow"),
    ("backend", "acl x src -f /etc/haproxy/lists/../certs/key.pem"),
    ("backend", "acl x src -f /etc/haproxy/certs/key.pem"),
    ("backend", "http-request deny if { path -- a } { src -f /etc/shadow }"),
    ("backend", "http-request set-header X %[src,map(/etc/shadow)]"),
    ("backend", "acl x 'src,map_ip(\"/etc/shadow\")' -m found"),
    ("backend", "http-request set-map(/etc/shadow) a b"),
    ("backend", "http-request add-acl(/etc/shadow) a"),
    ("backend", "http-request set-header X %[env(SECRET)]"),
    ("backend", "http-request return status 200 content-type a file /etc/shadow"),
    ("backend", "http-request return status 200 content-type if file /etc/shadow"),
    ("backend", "http-request return status 200 content-type a lf-file /etc/shadow"),
    ("backend", "http-request return status 200 errorfile /etc/shadow"),
    ("backend", "http-request return status 200 file /etc/haproxy/certs/key.pem"),
    ("backend", "http-response deny errorfile /etc/shadow"),
    ("backend", "http-error status 400 file /etc/shadow"),
    ("backend", "errorfile 503 /etc/shadow"),
    ("http-errors", "errorfile 503 /etc/shadow"),
    ("frontend", "bind *:443 ssl crt /root/x.pem"),
    ("frontend", "bind *:443 ssl crt x.pem"),
    ("frontend", "bind *:443 ssl crt-list /etc/ssl/private/x"),
    ("frontend", "bind *:443 ssl crt /etc/haproxy/certs/a.pem ca-file /etc/shadow"),
    ("frontend", "bind *:443 ssl crt /etc/haproxy/certs/a.pem tls-ticket-keys /etc/shadow"),
    ("frontend", "bind /etc/passwd"),
    ("frontend", "bind unix@/etc/passwd"),
    ("frontend", "bind *:80,/etc/passwd"),
    ("frontend", "bind *:80 namespace ../../dev/x"),
    ("frontend", "bind fd@3"),
    ("frontend", "bind sockpair@3"),
    ("backend", "server a 10.0.0.1:1 ssl crt /root/x.pem"),
    ("peers", "peer a /etc/passwd"),
    ("backend", "gugus"),
    ("global", "gugus"),
]


@pytest.mark.parametrize(("section", "line"), REFUSED)
def test_refuses_a_line_that_could_make_the_caller_root(section: str, line: str) -> None:
    said = of(section, line)
    assert said and said[0].startswith(("line 5:", "line 6:"))


ALLOWED = [
    ("global", "tune.bufsize 32768"),
    ("global", 'setenv EVENKEEL "a value"'),
    ("global", "presetenv EVENKEEL_ZONE a"),
    ("global", "stats socket /run/haproxy/admin.sock mode 660 level admin"),
    ("global", "stats timeout 30s"),
    ("global", "daemon"),
    ("global", "nbthread 4"),
    ("global", "log 192.0.2.1:514 local0"),
    ("global", "log ring@r local0"),
    ("global", "ca-base /etc/ssl/certs"),
    ("global", "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets"),
    ("defaults", "no option dontlognull # quietly"),
    ("defaults", "errorfile 400 /etc/haproxy/errors/400.http"),
    ("defaults", "timeout client 30s"),
    ("defaults", "log stdout format raw local0"),
    ("frontend", "bind [::]:443,192.0.2.1:443 ssl crt /etc/letsencrypt/live/a/full.pem alpn h2"),
    ("frontend", "bind *:443 ssl crt /etc/haproxy/certs/ crt-list /etc/haproxy/lists/crt"),
    ("frontend", "bind /run/haproxy/web.sock mode 660"),
    ("frontend", "http-request deny deny_status 403 if { path_beg /admin } !{ src 10.0.0.0/8 }"),
    ("frontend", "http-request deny if { src -f /etc/haproxy/lists/blocked }"),
    ("frontend", "acl flag req.fhdr(X-Flag) -m str -- -f"),
    ("frontend", "http-request set-header X %[src,map_ip(/etc/haproxy/maps/zones.map,none)]"),
    ("frontend", "http-request return status 200 file /etc/haproxy/pages/a.html"),
    ("frontend", 'http-response set-header A "max-age=1; b"'),
    ("frontend", r"http-request set-path '%[path,regsub(^/a$,/)]'"),
    ("frontend", "http-request set-header X file"),
    ("frontend", "stick-table type ip size 1m expire 10s store http_req_rate(10s)"),
    ("frontend", "filter compression"),
    ("backend", "server a unix@/run/a.sock ssl verify required ca-file @system-ca"),
    ("backend", "server-template a 3 _http._tcp.example.com resolvers r check"),
    ("userlist", "user bob insecure-password x"),
    ("resolvers", "nameserver a 192.0.2.53:53"),
    ("http-errors", "errorfile 503 /etc/haproxy/errors/503.http"),
]


@pytest.mark.parametrize(("section", "line"), ALLOWED)
def test_allows_what_operators_commonly_add(section: str, line: str) -> None:
    assert of(section, line) == []


def test_refuses_a_release_that_would_keep_roots_rights() -> None:
    said = forbidden("global\n    chroot /var/lib/haproxy\nbackend x\n    mode http\n")
    assert "`group haproxy`, `user haproxy`" in said[0]


def test_a_name_relative_to_a_base_is_below_it() -> None:
    text = GLOBAL + "    crt-base /etc/ssl/private\nfrontend x\n    bind *:443 ssl crt "
    assert forbidden(text + "a.pem\n") == []
    assert forbidden(text + "../../shadow\n")


def test_names_directive_and_line() -> None:
    assert of("global", "lua-load x.lua") == [
        "line 6: lua-load is not allowed in the section global"
    ]


def test_haproxy_is_not_started_on_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr(process, "run", lambda *words: started.append(words) or (0, ""))
    (tmp_path / "haproxy.cfg").write_text(GLOBAL + "    lua-load x.lua\n")
    check = driver.HAProxy().check(str(tmp_path))
    assert not check.ok and "lua-load" in check.output and started == []
