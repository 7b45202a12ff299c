"""What HAProxy's driver tells the next worker of servers that were changed at run time."""

from __future__ import annotations

from unit.balancer_haproxy.driver_parts import config, part

states = part("server_state")
read = config("parser").read

CONFIG = """
backend web
    server a 10.0.0.1:8080 weight 100
    server b 10.0.0.2:8081 weight 100
    server c [2001:db8::1]:8082
    server d 10.0.0.4
listen other
    server a 10.0.0.9:9000
"""


def row(server: str, admin: int = 0, weight: int = 100, **more: str) -> dict[str, str]:
    known = {
        "be_id": "3",
        "be_name": "web",
        "srv_name": server,
        "srv_addr": "10.9.9.9",
        "srv_port": "7",
        "srv_fqdn": "elsewhere.example",
        "srv_admin_state": str(admin),
        "srv_uweight": str(weight),
        "srv_iweight": "100",
    }
    return {**known, **more}


def told(*rows: dict[str, str], config: str = CONFIG) -> list[dict[str, str]]:
    names = states.STATE_COLUMNS
    lines = states.states_for(read({"haproxy.cfg": config}), rows)
    return [dict(zip(names, line.split(" "), strict=True)) for line in lines]


def test_only_servers_that_were_changed_at_run_time_are_told() -> None:
    rows = told(row("a"), row("b", admin=8), row("c", weight=50))
    assert [(one["srv_name"], one["srv_admin_state"], one["srv_uweight"]) for one in rows] == [
        ("b", "8", "100"),
        ("c", "0", "50"),
    ]


def test_address_and_port_are_those_of_the_configuration_and_not_of_the_old_worker() -> None:
    first, second = told(row("b", admin=8), row("c", admin=8))
    assert (first["srv_addr"], first["srv_port"], first["srv_fqdn"]) == ("-", "8081", "-")
    assert second["srv_port"] == "8082"


def test_a_server_of_another_pool_with_the_same_name_keeps_its_own_port() -> None:
    assert told(row("a", admin=8, be_name="other"))[0]["srv_port"] == "9000"


def test_servers_that_are_gone_or_name_no_port_are_left_out() -> None:
    assert told(row("z", admin=8), row("d", admin=8), row("a", admin=8, be_name="gone")) == []


def test_what_the_configuration_itself_disables_is_not_told() -> None:
    assert told(row("a", admin=4), row("b", admin=5)) == []


def test_nothing_is_told_where_a_warning_would_stop_the_worker() -> None:
    assert told(row("b", admin=8), config="global\n    zero-warning\n" + CONFIG) == []
