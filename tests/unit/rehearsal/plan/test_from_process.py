"""What the running process says goes before what was read in the file, and differences are told."""

from evenkeel.rehearsal.plan import from_process

READ = {
    "by_hand": True,
    "names": {"app.corp": "127.255.0.1"},
    "pools": {
        "app": {
            "rule": "exact",
            "endpoints": {"a": "10.0.0.1:80", "b": "127.255.0.1:80"},
            "weights": {"a": 1.0, "b": 1.0},
            "fair": {"a": 0.5, "b": 0.5},
            "expected_up": ["a", "b"],
            "backups": [],
        }
    },
}


def state(address, port=80, weight=1, status="active", backup=False):
    return {
        "address": address,
        "port": port,
        "weight": weight,
        "status": status,
        "backup": backup,
    }


def process(**servers):
    return from_process.facts({"pools": {"app": {"servers": servers}}})


def test_names_addresses_and_weights_are_those_of_the_process():
    seen = process(a=state("10.0.0.1"), b=state("127.255.0.7", weight=3), c=state("[fd00::1]"))
    pool = from_process.by_process(READ, seen)["pools"]["app"]
    assert pool["endpoints"] == {"a": "10.0.0.1:80", "b": "127.255.0.7:80", "c": "[fd00::1]:80"}
    assert pool["weights"] == {"a": 1.0, "b": 3.0, "c": 1.0}
    assert pool["expected_up"] == ["a", "b", "c"]


def test_servers_at_one_endpoint_are_one():
    seen = process(a1=state("10.0.0.1", weight=50), a2=state("10.0.0.1", weight=50))
    pool = from_process.by_process(READ, seen)["pools"]["app"]
    assert (pool["endpoints"], pool["weights"]) == ({"a1": "10.0.0.1:80"}, {"a1": 100.0})


def test_who_is_out_or_in_reserve_takes_nothing():
    seen = process(
        a=state("10.0.0.1"),
        b=state("10.0.0.2", status="draining", weight=5),
        c=state("10.0.0.3", status="inactive", weight=5),
        d=state("10.0.0.4", backup=True),
    )
    pool = from_process.by_process(READ, seen)["pools"]["app"]
    assert pool["weights"] == {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}
    assert (pool["expected_up"], pool["backups"]) == (["a", "d"], ["d"])


def test_a_server_that_is_down_is_expected_all_the_same():
    seen = process(a=state("10.0.0.1", status="down"), b=state("127.255.0.1"))
    assert from_process.by_process(READ, seen)["pools"]["app"]["expected_up"] == ["a", "b"]


def test_a_name_that_nobody_resolved_is_no_server_and_a_pool_of_none_stays_as_it_was_read():
    seen = process(a=state("10.0.0.1"), b=state("", port=80))
    assert list(from_process.by_process(READ, seen)["pools"]["app"]["endpoints"]) == ["a"]
    nobody = process(a=state(""), b=state(""))
    assert from_process.by_process(READ, nobody)["pools"] == READ["pools"]


def test_an_intent_stays_what_was_intended():
    intended = {**READ, "by_hand": False}
    assert from_process.by_process(intended, process(a=state("10.9.9.9"))) == intended


def test_where_process_and_file_disagree_is_told_and_stops_nothing():
    seen = process(a=state("10.0.0.9", weight=2), b=state("127.255.0.9"), c=state("10.0.0.3"))
    line = from_process.reading_check(READ, seen)
    assert line["verdict"] == "pass"
    assert line["numbers"] == {"servers": 3, "differ": 3}
    text = " ".join(line["reasons"])
    assert "10.0.0.1:80 in the file, 10.0.0.9:80 in the process" in text
    assert "weight 1 in the file, 2 in the process" in text
    assert "server c of pool app is in the process alone" in text
    assert "server b" not in text


def test_turns_that_are_not_exact_are_counted_again():
    world = {**READ, "classes": [{"name": "one", "pool": "app"}, {"name": "two", "pool": "app"}]}
    even = {"one": {"servers": {"10.0.0.1:80": 50, "127.255.0.1:80": 20}},
            "two": {"servers": {"127.255.0.1:80": 30}}}  # fmt: skip
    assert from_process.inexact(world, even) == set()
    assert from_process.inexact(world, {"one": even["one"]}) == {"app"}
    assert from_process.inexact(world, {}) == set()
    hashed = {"app": {**READ["pools"]["app"], "rule": "diverse"}}
    assert from_process.inexact({**world, "pools": hashed}, {"one": even["one"]}) == set()


def counts(sent, failed, **servers):
    return {
        "sent": sent,
        "answered": sent - failed,
        "failed": failed,
        "diverted": 0,
        "again": 0,
        "servers": servers,
        "statuses": {"200": sent - failed, "503": failed},
        "errors": {"status 503": failed} if failed else {},
        "versions": {"1.1": sent},
        "milliseconds": {"median": 1.0},
    }


COUNTED = {"classes": [{"name": "c", "pool": "app"}, {"name": "d", "pool": "app"}]}


def test_what_failed_in_the_first_count_is_not_forgotten_by_the_second():
    first = {"c": counts(10, 3, a=7), "d": counts(10, 0, b=10)}
    second = {"c": counts(10, 0, a=5, b=5), "d": counts(10, 0, a=5, b=5)}
    found = from_process.recounted(first, second, {"c": 10, "d": 10}, COUNTED)
    assert found["c"]["servers"] == {"a": 5, "b": 5}
    assert (found["c"]["sent"], found["c"]["failed"]) == (20, 3)
    assert found["c"]["statuses"] == {"200": 17, "503": 3}


def test_a_second_count_that_is_not_whole_changes_nothing():
    first = {"c": counts(10, 0, a=10), "d": counts(10, 0, b=10)}
    second = {"c": counts(10, 0, a=5, b=5), "d": counts(4, 0, a=4)}
    assert from_process.recounted(first, second, {"c": 10, "d": 10}, COUNTED) == first
    assert from_process.recounted(first, {}, {"c": 10, "d": 10}, COUNTED) == first
