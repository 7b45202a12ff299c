"""A new name is no new thing: what is live already stays told, and what is taken away is seen."""

import pytest
from unit.balancer_haproxy.files import DIALECT, SOUND, edited, stopped

UNCHECKED = SOUND.replace("api2 10.0.1.2:8080 check", "api2 10.0.1.2:8080")
RENAMED = (
    ("backend api\n", "backend gateway\n"),
    ("use_backend api if", "use_backend gateway if"),
)


@pytest.mark.parametrize(
    "edits",
    [RENAMED, (("server api2 ", "server node2 "),), (*RENAMED, ("server api2 ", "server node2 "))],
)
def test_what_is_live_already_stops_nothing_under_a_new_name(edits):
    assert not stopped(edited(*edits, text=UNCHECKED), UNCHECKED)


def test_a_listener_may_be_renamed():
    live = SOUND.replace("    option forwardfor\n", "")
    assert not stopped(edited(("frontend www\n", "frontend web\n"), text=live), live)


def test_what_a_renamed_pool_loses_stops():
    text = edited(*RENAMED, (" check maxconn 100", " maxconn 100"))
    assert "no-check" in stopped(text)
    text = edited(*RENAMED, (" check maxconn 100", " check maxconn 10"))
    assert "maxconn-cut" in stopped(text)


def test_a_pool_with_other_servers_is_a_new_one():
    text = edited(*RENAMED, ("10.0.1.", "10.0.9."), text=UNCHECKED)
    assert "no-check" in stopped(text, UNCHECKED)


LOOKED_UP = edited(
    ("    use_backend api if", "    use_backend shard-%[path,field(3,/)] if { path_beg /shard/ }\n"
     "    use_backend api if"),
    ("backend api\n", "backend shard-eu\n    server e1 10.7.0.1:80 check\n"
     "    server e2 10.7.0.2:80 check\n\nbackend api\n"),
)  # fmt: skip


def test_a_pool_that_a_lookup_may_name_is_not_taken_away_or_renamed():
    for name in ("shard-ue", "shard-eu2"):
        text = LOOKED_UP.replace("backend shard-eu\n", f"backend {name}\n")
        assert stopped(text, LOOKED_UP) == {"looked-up-pool-gone"}
    assert stopped(LOOKED_UP.replace("shard-%[", "part-%["), LOOKED_UP) == set()


def test_a_pool_that_a_route_names_may_be_renamed_beside_a_lookup():
    assert stopped(edited(*RENAMED, text=LOOKED_UP), LOOKED_UP) == set()


BY_MAP = edited(
    ("    use_backend api if", "    use_backend %[req.hdr(host),map(/etc/s.map,app)] if all\n"
     "    use_backend api if"),
    ("backend api\n", "backend blog\n    server b1 10.7.0.1:80 check\n"
     "    server b2 10.7.0.2:80 check\n\nbackend api\n"),
)  # fmt: skip
BLOG = "blog.example blog\n"
GONE = BY_MAP[: BY_MAP.index("backend blog")] + BY_MAP[BY_MAP.index("backend api\n") :]


def by_map(text, new_map):
    files = [{"haproxy.cfg": text.encode()}, {"haproxy.cfg": BY_MAP.encode()}]
    if new_map is not None:
        files = [{**files[0], "s.map": new_map.encode()}, {**files[1], "s.map": BLOG.encode()}]
    found = [one for one in DIALECT.rules(*files) if one["rule"] == "looked-up-pool-gone"]
    return [one["severity"] for one in found]


def test_a_pool_that_goes_with_its_lines_of_the_map_does_not_stop():
    assert by_map(GONE, "") == []
    assert by_map(GONE, "# blog.example blog\n") == []
    renamed = BY_MAP.replace("backend blog", "backend pages")
    assert by_map(renamed, "blog.example pages\n") == []


def test_a_pool_that_the_map_still_names_stops():
    assert by_map(GONE, BLOG) == ["stop"]
    assert by_map(BY_MAP.replace("backend blog", "backend pages"), BLOG) == ["stop"]


def test_a_pool_of_a_map_on_the_host_is_told():
    assert by_map(GONE, None) == ["tell"]
