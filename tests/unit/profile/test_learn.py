"""What is learnt from a log, and what never is."""

import itertools
import re

import pytest

from evenkeel.errors import Refused
from evenkeel.profile import learn as learning
from evenkeel.profile.learn import Distinct, Learner, learn
from evenkeel.profile.lines import group_path, host_of, read_line
from evenkeel.profile.traffic_profile import parse_profile

KEY = b"k" * 32


def haproxy(client="10.0.0.1", port=1000, path="/", second=1, method="GET", **more):
    part = {"server_ms": 30, "whole_ms": 40, "size": 2750, "under_way": 2, "captures": "", **more}
    return (
        f"Feb  6 12:14:14 lb1 haproxy[14389]: {client}:{port} [06/Feb/2026:12:14:{second:02}.655]"
        f" www~ web/s1 0/0/1/{part['server_ms']}/{part['whole_ms']} {part.get('status', 200)}"
        f" {part['size']} - - ---- 1/1/{part['under_way']}/1/0 0/0 {part['captures']}"
        f'"{method} {path} HTTP/1.1"\n'
    )


def nginx(client="10.0.0.1", path="/", user="-", second=1):
    return (
        f"{client} - {user} [06/Feb/2026:12:14:{second:02} +0000]"
        f' "GET {path} HTTP/1.1" 200 612 "https://x.example/?q=1" "Mozilla/5.0"\n'
    )


def test_haproxy_s_line_gives_times_sizes_and_the_listener():
    line = read_line(
        haproxy(path="/api/items/42?page=3", captures="{shop.example|curl} {} "), "haproxy"
    )
    assert (line.listener, line.host, line.path) == ("www", "shop.example", "/api/items/{number}")
    assert (line.server_seconds, line.whole_seconds, line.answer_bytes) == (0.03, 0.04, 2750)


def test_haproxy_s_line_is_read_without_a_syslog_prefix():
    assert read_line(haproxy().split("]: ", 1)[1], "haproxy").client == "10.0.0.1"


def test_a_request_by_http_2_is_logged_with_its_address_which_names_the_host():
    line = read_line(haproxy(path="https://shop.example:443/cart?id=7"), "haproxy")
    assert (line.host, line.path) == ("shop.example", "/cart")


def test_nginx_s_line_is_read_and_has_no_times():
    line = read_line(nginx(path="/a"), "nginx")
    assert (line.client, line.path, line.answer_bytes) == ("10.0.0.1", "/a", 612)
    assert line.whole_seconds is None


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/api/v2/users/1234/orders", "/api/v2/users/{number}/orders"),
        ("/o/3f2b8c1e-1111-4222-8333-444455556666", "/o/{uuid}"),
        ("/reset/9f8e7d6c5b4a", "/reset/{token}"),
        ("/u/alice%40example.com", "/u/{token}"),
        ("/u/alice@example.com", "/u/{token}"),
        ("/cart;jsessionid=ABC", "/cart"),
        ("/static/app.css?v=1#x", "/static/app.css"),
        ("/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/{more}"),
        ("*", "/"),
    ],
)
def test_values_in_a_path_become_placeholders(path, group):
    assert group_path(path) == group


@pytest.mark.parametrize(
    "text", ["deadbeefcafe", "DEADBEEFCAFE", "app.deadbeef.js", "QWxhZGRpbjpvcGVu", "sk-QxWzRtYp"]
)
def test_a_token_of_letters_alone_is_no_word(text):
    assert group_path(f"/reset/{text}") == "/reset/{token}"


@pytest.mark.parametrize(
    "text", ["getUserName", "OAuth", "FAQ", "README.md", "index.html", "v2", "privacy-policy"]
)
def test_a_name_as_people_write_it_stays(text):
    assert group_path(f"/{text}") == f"/{text}"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Shop.example:8443", "shop.example"),
        ("api-eu1.shop.example", "api-eu1.shop.example"),
        ("ip-10-0-0-77.shop.example", ""),
        ("203-0-113-77.dsl.example", ""),
        ("deadbeefcafe.shop.example", ""),
        ("a1b2c3d4e5f6.shop.example", ""),
        ("203.0.113.77", ""),
    ],
)
def test_a_host_with_an_address_or_a_token_in_it_is_not_named(text, host):
    assert host_of(text) == host


def test_shares_of_hosts_paths_and_methods_are_the_log_s_own():
    lines = [
        haproxy(client=f"10.0.0.{n}", path=path, method=method)
        for n, (path, method) in itertools.product(
            range(5), [("/a", "GET")] * 6 + [("/b", "POST")] * 4
        )
    ]
    profile = learn(lines, KEY)
    assert profile.methods == {"GET": 0.6, "POST": 0.4}
    assert [(row.path, row.method, row.share) for row in profile.rows] == [
        ("/a", "GET", 0.6),
        ("/b", "POST", 0.4),
    ]


def test_reuse_rates_and_extremes_are_learnt():
    lines = [haproxy(port=1000 + n // 5, second=n // 10) for n in range(100)]
    lines.append(haproxy(port=1, second=9, server_ms=4200, size=99_000, under_way=77))
    lines.append(haproxy(port=1, second=9, server_ms=9999, status=504))
    profile = learn(lines, KEY)
    assert profile.requests_per_connection == pytest.approx(102 / 21, abs=0.01)
    assert (profile.slowest_seconds, profile.largest_answer_bytes) == (4.2, 99_000)
    assert profile.concurrency == 77
    assert (profile.peak_requests_per_second, profile.mean_requests_per_second) == (12.0, 10.2)


def test_the_share_of_heavy_clients_is_learnt():
    lines = [haproxy(client="10.9.9.9")] * 100 + [haproxy(client=f"10.0.0.{n}") for n in range(99)]
    profile = learn(lines, KEY)
    assert profile.clients == 100
    assert profile.heaviness.top_1_percent == pytest.approx(100 / 199, abs=0.001)


SECRETS = [
    "203.0.113.77",
    "s3cr3tt0ken",
    "alice",
    "hunter2",
    "4111111111111111",
    "3f2b8c1e-1111-4222-8333-444455556666",
    "bob",
    "eyJhbGciOi",
    "Mozilla",
    "carol",
    "2001:db8:7::9",
    "sessionid",
    "dave.person.name",
]
PATHS = [
    f"/pay/{SECRETS[4]}?token={SECRETS[1]}",
    f"/o/{SECRETS[5]};JSESSIONID=x",
    "/u/alice@mail.example",
    "/u/alice%40mail.example",
    "/reset/eyJhbGciOi9AbCdEfGh",
    "https://u:hunter2@shop.example/x",
    "/a?user=carol#hunter2",
]


def secretive_haproxy():
    for number, path in enumerate(PATHS * 3):
        yield haproxy(f"10.1.0.{number}", path=path, captures="{sess.ion@x|Mozilla} ")
    # A user's name in plain letters, and a capture that looks like a host: of one client alone.
    yield from [haproxy("203.0.113.77", path="/only/bob")] * 9
    yield from [haproxy("2001:db8:7::9", captures="{dave.person.name|s3cr3tt0ken} ")] * 9


def secretive_nginx():
    for number, path in enumerate(PATHS * 3):
        yield nginx(f"10.1.0.{number}", path, user="carol")
    yield from [nginx("203.0.113.77", "/only/bob", user="bob")] * 9


@pytest.mark.parametrize("log", [secretive_haproxy, secretive_nginx])
def test_no_secret_of_the_log_is_in_the_profile(log):
    text = learn(log(), KEY).model_dump_json()
    assert "/reset/{token}" in text
    assert [one for one in SECRETS if one.lower() in text.lower()] == []
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", text)


def test_the_hashes_leave_no_trace_and_the_key_changes_nothing_that_is_told():
    lines = [haproxy(client=f"10.0.0.{n % 7}") for n in range(50)]
    assert learn(lines, KEY) == learn(lines, b"another key of bytes")


def test_bad_lines_are_counted_and_told():
    profile = learn([haproxy()] * 9 + ["what is this\n"], KEY)
    assert (profile.source.lines, profile.source.bad_lines) == (9, 1)


@pytest.mark.parametrize("lines", [[], ["nothing\n"] * 10, [haproxy(), *["x\n"] * 5]])
def test_a_log_of_mostly_bad_lines_is_refused(lines):
    with pytest.raises(Refused, match="unknown format"):
        learn(lines, KEY)


def test_a_sample_of_many_things_is_bounded_and_about_right():
    many = Distinct(KEY, most=1000)
    for number in range(20_000):
        many.add(str(number))
    assert len(many.counts) <= 1000
    assert many.distinct == pytest.approx(20_000, rel=0.15)


def test_groups_and_seconds_stay_bounded(monkeypatch):
    monkeypatch.setattr(learning, "MOST_GROUPS", 50)
    monkeypatch.setattr(learning, "MOST_SECONDS", 10)
    learner = Learner(KEY)
    letters = "abcdefghij"
    for first, second, third in itertools.product(letters, repeat=3):
        number = letters.index(first) * 6 % 60
        learner.take(haproxy(path=f"/{first}{second}{third}", second=number))
    assert len(learner.groups) <= 50
    assert len(learner.rates) <= 10
    assert learner.profile().other_share > 0.9


def test_what_is_learnt_is_a_valid_profile_and_the_same_log_gives_the_same_bytes():
    lines = [haproxy(client=f"10.0.0.{n % 9}", path=f"/p/{n % 4}/x") for n in range(60)]
    once, again = (learn(lines, KEY).model_dump_json() for _ in range(2))
    assert once == again
    assert parse_profile(learn(lines, KEY).model_dump(mode="json")).source.lines == 60
