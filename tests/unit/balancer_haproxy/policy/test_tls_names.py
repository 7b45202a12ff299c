"""Where TLS passes through: each name leads to the pool that it led to."""

import pytest
from unit.balancer_haproxy.files import DIALECT, SOUND, findings, stopped, told

PASSED = """
frontend tls
    mode tcp
    bind *:8443
    acl wiki req.ssl_sni -m end .wiki.example
    use_backend mail if { req.ssl_sni -i mail.example }
    use_backend docs if wiki
    default_backend rest
backend mail
    mode tcp
    server m1 10.8.0.1:443 check
backend docs
    mode tcp
    server d1 10.8.1.1:443 check
backend rest
    mode tcp
    server r1 10.8.2.1:443 check
"""
LIVE = SOUND + PASSED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mail.example", "mial.example"),
        ("end .wiki.example", "end .wkii.example"),
        ("default_backend rest", "default_backend docs"),
        ("use_backend docs if wiki", "use_backend mail if wiki"),
    ],
)
def test_a_name_that_leads_elsewhere_stops_where_nobody_can_see_who_answers(old, new):
    assert stopped(LIVE.replace(old, new), LIVE) == {"server-name-rerouted"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    default_backend rest", "    use_backend docs if { req.ssl_sni -i new.example }\n"
         "    default_backend rest"),
        ("backend docs", "backend pages"),
        ("acl wiki req.ssl_sni -m end", "acl wiki req.ssl_sni -i -m end"),
    ],
)  # fmt: skip
def test_a_name_more_or_another_name_of_a_pool_does_not(old, new):
    text = LIVE.replace(old, new)
    if new == "backend pages":
        text = text.replace("use_backend docs", "use_backend pages")
    assert stopped(text, LIVE) == set()


MAIL = "    use_backend mail if { req.ssl_sni -i mail.example }\n"


@pytest.mark.parametrize(
    "new",
    [
        MAIL.rstrip() + " or { req.ssl_sni -i post.example }\n",
        "    use_backend mail if { req.ssl_hello_type 1 } { req.ssl_sni -i mail.example }\n",
        "    acl post req.ssl_sni,lower mail.example\n    use_backend mail if post\n",
        "    use_backend mail unless !{ req.ssl_sni -i mail.example }\n",
    ],
)
def test_the_same_names_in_other_words_do_not_stop(new):
    assert stopped(LIVE.replace(MAIL, new), LIVE) == set()
    assert "server-name-rerouted" not in told(LIVE.replace(MAIL, new), LIVE)


def test_two_lines_in_one_lead_to_the_same_pool_and_one_of_the_names_forgotten_stops():
    other = MAIL.replace("mail.example", "post.example")
    live = LIVE.replace(MAIL, MAIL + other)
    both = MAIL.rstrip() + " or { req.ssl_sni -i post.example }\n"
    assert stopped(LIVE.replace(MAIL, both), live) == set()
    assert stopped(LIVE, live) == {"server-name-rerouted"}
    assert stopped(LIVE, LIVE.replace(MAIL, both)) == {"server-name-rerouted"}


@pytest.mark.parametrize(
    "new",
    [
        "    use_backend mail if { req.ssl_sni -i -f /etc/haproxy/mail.lst }\n",
        "    use_backend %[req.ssl_sni,map(/etc/haproxy/sni.map)] if { req.ssl_sni -m found }\n",
        "    use_backend mail if { req.ssl_sni -i mail.example } { src 10.0.0.0/8 }\n",
    ],
)
def test_what_cannot_be_read_here_is_told_and_does_not_stop(new):
    text = LIVE.replace(MAIL, new)
    assert "server-name-rerouted" not in stopped(text, LIVE)
    found = [one for one in findings(text, LIVE) if one["rule"] == "server-name-rerouted"]
    assert [one["severity"] for one in found] == ["tell"]
    assert "mail.example" in found[0]["got"]


def test_a_line_that_cannot_be_read_and_stays_hides_nothing():
    odd = "    use_backend docs if { src 10.0.0.0/8 }\n"
    live = LIVE.replace(MAIL, odd + MAIL)
    assert stopped(live, live) == set()
    assert stopped(live.replace("mail.example", "mial.example"), live) == {"server-name-rerouted"}


def test_a_list_of_the_release_is_looked_into():
    text = LIVE.replace("-i mail.example", "-i -f /etc/haproxy/mail.lst")
    base = {"haproxy.cfg": LIVE.encode()}
    for names, stops in (("# ours\nmail.example\n", False), ("mial.example\n", True)):
        files = {"haproxy.cfg": text.encode(), "mail.lst": names.encode()}
        rules = {one["rule"] for one in DIALECT.rules(files, base) if one["severity"] == "stop"}
        assert ("server-name-rerouted" in rules) is stops
