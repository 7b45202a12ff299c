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
