"""What HAProxy says is shown, and nothing of any file but the release that it is about."""

from pathlib import Path

import pytest
from unit.balancer_haproxy.driver_parts import driver, part

from evenkeel.host.system import process

GLOBAL = "global\n    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n"
own_words = part("messages").own_words


def test_what_haproxy_says_of_another_file_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = GLOBAL + "frontend web\n    acl bad src -f /etc/haproxy/lists/a\n"
    said = (
        f"[ALERT]    (1121) : config : parsing [{tmp_path}/haproxy.cfg:6] : error detected while "
        "parsing ACL 'bad' : 'root:*:20228:0:99999:7:::' is not a valid IPv4 address at line 1 "
        "of file </etc/haproxy/lists/a>. It can't be root:$6$x '-----BEGIN KEY'\n"
    )
    (tmp_path / "haproxy.cfg").write_text(text)
    monkeypatch.setattr(process, "run", lambda *words: (1, said))
    output = driver.HAProxy().check(str(tmp_path)).output
    assert "[ALERT]" in output and "[haproxy.cfg:6]" in output and "'bad'" in output
    assert "/etc/haproxy/lists/a" in output and "not a valid IPv4 address" in output
    assert "root" not in output and "$6$" not in output and "BEGIN" not in output


def test_what_haproxy_shows_of_the_release_stays() -> None:
    line = '  http-request set-header X "unclosed'
    said = f"[ALERT] (1) : config : parsing [haproxy.cfg:7]: unmatched quote at 29:\n{line}\n    ^"
    assert own_words(said, f"{GLOBAL}{line}\n").split("\n")[1:] == [line, "    ^"]


def test_its_errors_name_the_address_that_it_could_not_listen_on() -> None:
    said = "[ALERT] (7) : cannot bind socket (Address already in use) for [0.0.0.0:22022]"
    assert own_words(said, "bind *:22022") == said


def test_its_errors_name_the_certificate_of_the_release_and_hide_other_files() -> None:
    said = "[ALERT] (7) : unable to stat SSL certificate from file '/etc/ssl/mine.pem'"
    assert own_words(said, "bind :443 ssl crt /etc/ssl/mine.pem") == said
    assert "mine.pem" not in own_words(said, "bind :443")
