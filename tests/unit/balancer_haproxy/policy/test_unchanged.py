"""A pool is unchanged when nothing of it and nothing that all pools feel differs."""

import pytest
from unit.balancer_haproxy.files import DIALECT, SOUND, edited


def unchanged(*edits):
    files = ({"haproxy.cfg": text.encode()} for text in (edited(*edits), SOUND))
    return DIALECT.unchanged(*files)


def test_pools_that_nobody_touched_are_unchanged():
    assert unchanged() == ["app", "api"]
    assert unchanged(("10.0.1.2:8080", "10.0.1.9:8080")) == ["app"]
    assert unchanged(("    use_backend api if is_api\n", "")) == ["app", "api"]
    assert unchanged(("backend api\n", "# a word\n\nbackend api\n")) == ["app", "api"]


@pytest.mark.parametrize(
    "edit",
    [
        ("nbthread 4", "nbthread 2"),
        ("timeout server 30s", "timeout server 3s"),
        ("hold valid 10s", "hold valid 20s"),
        ("bind *:80\n", "bind *:80 maxconn 5\n"),
        ("retries 3", "retries 0"),
    ],
)
def test_what_every_pool_feels_changes_all_of_them(edit):
    assert unchanged(edit) == []


TRACKED = (
    SOUND
    + """
backend hc
    option httpchk GET /alive
    server a 10.9.0.1:80 check
backend follows
    server a 10.9.0.1:81 track hc/a
backend follows-on
    default-server track follows/a
    server a 10.9.0.1:82
backend by-itself
    server a 10.9.0.1:83 check
    server b 10.9.0.1:84 track a
"""
)


def test_a_pool_that_tracks_another_s_servers_changes_with_it():
    def now(old, new):
        files = ({"haproxy.cfg": text.encode()} for text in (TRACKED.replace(old, new), TRACKED))
        return DIALECT.unchanged(*files)

    every = ["app", "api", "hc", "follows", "follows-on", "by-itself"]
    assert now("", "") == every
    assert now("GET /alive", "GET /dead") == ["app", "api", "by-itself"]
    assert now("10.9.0.1:81", "10.9.0.1:91") == ["app", "api", "hc", "by-itself"]
    assert now("10.9.0.1:84", "10.9.0.1:94") == [one for one in every if one != "by-itself"]
