import pytest

from evenkeel.host.arguments import VERBS, parse
from evenkeel.host.errors import UsageError

START = ["--balancer", "haproxy"]
DIGEST = "a" * 64


def test_understands_options_and_flags():
    words = ["prepare", "--release", DIGEST, "--check-only", "--change", "c-1"]
    line = parse([*START, *words])
    assert (line.balancer, line.verb) == ("haproxy", "prepare")
    assert line.values == {"release": DIGEST, "change": "c-1"}
    assert line.flags == {"check-only": True}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["status"],
        ["--balancer", "../x", "status"],
        ["--balancer", "HAPROXY", "status"],
        ["--balancer", "haproxy"],
        [*START, "frobnicate"],
        [*START, "status", "--wrong"],
        [*START, "status", "files"],
        [*START, "status", "--files", "--files"],
        [*START, "stat"],
        [*START, "confirm"],
        [*START, "confirm", "--change"],
        [*START, "confirm", "--change", "../../etc"],
        [*START, "confirm", "--change", "a\nb"],
        [*START, "confirm", "--change", "a" * 65],
        [*START, "confirm", "--change", "--change"],
        [*START, "renew", "--change", "c", "--lease-seconds", "-1"],
        [*START, "renew", "--change", "c", "--lease-seconds", "1e9"],
        [*START, "renew", "--change", "c", "--lease-seconds", "nan"],
        [*START, "rollback", "--to", "../secret"],
        [*START, "metrics", "--output", "relative.prom"],
        [*START, "metrics", "--output", "/var/lib/../etc/x.prom"],
        [*START, "activate", "--change", "c", "--release", "A" * 64, "--lease-seconds", "5"],
    ],
)
def test_refuses_a_word_that_it_does_not_know(words):
    with pytest.raises(UsageError):
        parse(words)


def test_a_required_option_is_named_when_it_is_missing():
    for verb, options in VERBS.items():
        for name, option in options.items():
            if option.required:
                with pytest.raises(UsageError):
                    parse([*START, verb])
                assert option.pattern is not None, name
