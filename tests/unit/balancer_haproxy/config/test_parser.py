"""The files are read as HAProxy reads them: quotes, inheritance, options of servers."""

from unit.balancer_haproxy.files import READING

TEXT = r"""
global
    maxconn 100
defaults first
    mode http
    timeout client 10s
    option redispatch
defaults second from first
    timeout client 20s
frontend a from first
    bind :80
frontend b
    bind :81
backend c from second
    no option redispatch
    default-server inter 5s check weight 20 backup
    server one 10.0.0.1:80 no-check no-backup
    server 'two two' 10.0.0.2:80 weight 3 # weight 4
    server three\ b 10.0.0.3:80 source 10.0.0.9 "disabled"
    server-template t 1-5 name:80
listen d
    bind :82
    server x 10.0.0.1:80
"""


def configuration(text=TEXT):
    return READING.read({"haproxy.cfg": text})


def test_a_section_inherits_from_the_defaults_it_names_or_from_the_last_ones():
    read = configuration()
    client = {p.name: p.last("timeout", "client").value(2) for p in read.proxies}
    assert client == {"a": "10s", "b": "20s", "c": "20s", "d": "20s"}
    assert {p.name: p.mode for p in read.proxies} == dict.fromkeys("abcd", "http")


def test_no_takes_back_what_was_inherited():
    read = configuration()
    assert read.back("c").last("option", "redispatch") is None
    assert read.back("d").last("option", "redispatch") is not None


def test_a_server_has_the_options_of_default_server_unless_it_takes_them_back():
    one, two, three, template = configuration().back("c").servers
    assert (one.has("check"), one.has("backup"), one.number("weight")) == (False, False, 20)
    assert (two.name, two.has("check"), two.number("weight")) == ("two two", True, 3)
    assert (three.name, three.options["source"], three.has("disabled")) == (
        "three b", "10.0.0.9", True,
    )  # fmt: skip
    assert (template.slots, template.time("inter")) == (5, 5000.0)


def test_a_listen_section_is_both():
    read = configuration()
    assert [p.name for p in read.fronts] == ["a", "b", "d"]
    assert [p.name for p in read.backs] == ["c", "d"]


def test_times_have_units_and_a_bare_number_is_milliseconds():
    assert [READING.milliseconds(text) for text in ("5", "5s", "2m", "1d", "7us", "x", "5w")] == [
        5.0, 5000.0, 120000.0, 86400000.0, 0.007, None, None,
    ]  # fmt: skip


def test_lines_know_where_they_stand():
    read = configuration()
    server = read.back("d").servers[0]
    assert TEXT.splitlines()[server.line.number - 1].split() == list(server.line.words)
