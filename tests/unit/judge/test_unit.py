"""What is counted is what is assigned: the judge with clients, hash rings and queues."""

import itertools
import random

from evenkeel.judge.host_watch import HostWatch

RING = {"a": 0.5, "b": 0.25, "c": 0.25}


def policy(**pool):
    own = {"required": True, "judged": "share", "minimum_requests": 50, **pool}
    return {"tolerance": 0.3, "pools": {"web": own}}


def seen(rows, queue=0, **more):
    servers = {
        name: {
            **{"weight": 100, "status": "active", "backup": False, "connections": 0, "errors": 0},
            **row,
        }
        for name, row in rows.items()
    }
    pool = {"servers": servers, "queue": queue, **more}
    return {"worker_pid": 1, "worker_started": 1.0, "pools": {"web": pool}}


def judged(watch, looks):
    previous = None
    for look in looks:
        watch.sample(previous, look)
        previous = look
    return watch.result()


def rows_of(clients, requests):
    return {
        name: {"clients": clients.get(name, 0), "requests": requests.get(name, 0)} for name in RING
    }


def sticky_traffic(seconds, seed):
    """One client sends 30 % of all requests, every other one a thousand over one connection."""
    draw = random.Random(seed)
    clients, requests = {}, {}
    heavy = draw.choice("abc")
    for _ in range(seconds):
        for _ in range(10):
            name = draw.choice("abc")
            clients[name] = clients.get(name, 0) + 1
            requests[name] = requests.get(name, 0) + 1000
        requests[heavy] = requests.get(heavy, 0) + 4300
        yield seen(rows_of(dict(clients), dict(requests)))


def test_heavy_clients_keep_the_bound_when_clients_are_counted_and_break_it_when_requests_are():
    runs = 60
    verdicts = {
        unit: [
            judged(HostWatch(policy(unit=unit)), sticky_traffic(40, seed))["verdict"]
            for seed in range(runs)
        ]
        for unit in ("clients", "requests")
    }
    assert verdicts["clients"].count("fail") == 0
    assert verdicts["requests"].count("fail") > runs / 2


def from_one_address(seconds):
    """A hash of the source, and every request comes through one proxy."""
    for n in range(seconds):
        yield seen(rows_of({"b": 1}, {"a": 0, "b": 80 * n, "c": 0}))


ADDRESSES = {"unit": "clients", "intended": RING, "few_clients_fail": True}


def test_a_hash_whose_clients_are_one_fails_as_soon_as_it_is_sure_that_no_others_come():
    watch = HostWatch(policy(**ADDRESSES))
    result = judged(watch, from_one_address(12))
    assert result["verdict"] == "fail"
    assert "fewer than the 3 servers" in result["reasons"][0]
    assert judged(HostWatch(policy(**ADDRESSES)), from_one_address(5))["verdict"] != "fail"


def test_few_clients_are_remembered_between_calls():
    watch, looks = HostWatch(policy(**ADDRESSES)), list(from_one_address(12))
    judged(watch, looks[:8])
    watch = HostWatch.from_state(watch.state())
    for before, now in itertools.pairwise(looks[7:]):
        watch.sample(before, now)
    assert watch.verdict() == "fail"


def test_few_new_clients_of_a_pool_whose_clients_stick_are_no_fault():
    sticky = policy(unit="clients", intended=RING)
    assert judged(HostWatch(sticky), from_one_address(30))["verdict"] != "fail"


def test_the_record_says_the_unit_and_what_is_assumed():
    row = judged(HostWatch(policy(unit="clients", intended=RING)), sticky_traffic(3, 1))
    web = row["pools"]["web"]
    assert web["unit"] == "clients"
    assert "counted once" in web["assumption"] and "hash" in web["assumption"]


def by_ring(seconds):
    each = {"a": 20, "b": 10, "c": 10}
    for n in range(seconds):
        counts = {name: n * more for name, more in each.items()}
        yield seen(rows_of(counts, counts))


def test_the_intended_shares_of_a_hash_are_those_of_its_ring_and_not_of_the_weights():
    assert (
        judged(HostWatch(policy(unit="clients", intended=RING)), by_ring(40))["verdict"] == "pass"
    )
    assert judged(HostWatch(policy(unit="clients")), by_ring(40))["verdict"] == "fail"


def test_what_a_server_that_is_out_leaves_goes_to_the_others():
    watch = HostWatch(policy(unit="clients", intended=RING))
    looks = []
    for n in range(40):
        rows = rows_of({"b": n * 10, "c": n * 10}, {"b": n * 10, "c": n * 10})
        rows["a"]["status"] = "down"
        looks.append(seen(rows))
    result = judged(watch, looks)
    assert result["verdict"] == "pass"
    assert result["pools"]["web"]["servers"]["b"]["intended"] == 0.5


def test_clients_that_move_to_another_server_do_not_void_what_was_counted():
    looks = list(by_ring(20))
    moved = seen(rows_of({"a": 380, "b": 195, "c": 185}, {"a": 400, "b": 200, "c": 200}))
    result = judged(HostWatch(policy(unit="clients", intended=RING)), [*looks, moved])
    assert result["verdict"] == "pass" and result["pools"]["web"]["unjudged"] == 0


def test_a_unit_that_the_balancer_does_not_count_is_no_pass_and_is_named():
    looks = [seen({name: {"requests": 100 * n} for name in RING}) for n in range(20)]
    result = judged(HostWatch(policy(unit="clients")), looks)
    assert result["verdict"] == "inconclusive"
    assert result["reasons"] == ["pool web: the balancer does not count its clients"]


def test_a_queue_longer_than_all_places_that_stays_is_a_fail_and_a_moment_of_it_is_not():
    rows = rows_of({}, dict.fromkeys(RING, 0))
    settings = policy(queue_limit=30, queue_samples=4)
    moments = [seen(rows, queue=n) for n in (50, 50, 50, 0, 50, 50, 50)]
    assert judged(HostWatch(settings), moments)["verdict"] == "no_data"
    stays = [seen(rows, queue=31)] * 4
    result = judged(HostWatch(settings), stays)
    assert result["verdict"] == "fail" and "queued" in result["reasons"][0]


def test_a_queue_is_remembered_between_calls():
    rows = rows_of({}, dict.fromkeys(RING, 0))
    watch = HostWatch(policy(queue_limit=30, queue_samples=4))
    judged(watch, [seen(rows, queue=31)] * 3)
    again = HostWatch.from_state(watch.state())
    again.sample(seen(rows, queue=31), seen(rows, queue=31))
    assert again.verdict() == "fail"


def test_slow_answers_are_counted_of_the_watch_alone_and_decide_nothing_on_the_host():
    looks = [
        seen(rows_of({}, dict.fromkeys(RING, 100 * n)), timed=1000 + 300 * n, slow=900 + 30 * n)
        for n in range(11)
    ]
    watch = HostWatch(policy())
    result = judged(watch, looks)
    assert result["pools"]["web"]["answers"] == {"timed": 3000, "slow": 300}
    assert result["verdict"] == "pass"
    assert HostWatch.from_state(watch.state()).result() == result
