"""Whole sample changes: one that was confirmed, one caught on a canary, one in staging."""

from pathlib import Path

from unit.change.build import Sample, observed, result

from evenkeel.canary.change_outcome import outcome
from evenkeel.canary.plan import load
from evenkeel.canary.stage import judge

FOUR = {"web1": (0.5, 0.25), "web2": (0.5, 0.25), "web3": (0.0, 0.25), "web4": (0.0, 0.25)}
EVEN = {"web1": 251, "web2": 249, "web3": 252, "web4": 250}
CONFIG = b"""backend app
    balance roundrobin
    option httpchk
    server web1 10.0.0.1:80 check
    server web2 10.0.0.2:80 check
    server web3 10.0.0.3:80 check
    server web4 10.0.0.4:80 check
"""


def check(title, verdict="pass", *reasons):
    return {"id": title, "title": title, "verdict": verdict, "numbers": {}, "reasons": [*reasons]}


def bundle(hosts, shares, *checks):
    servers = {
        name: {"before": before, "after": after + 0.001, "intended": after}
        for name, (before, after) in shares.items()
    }
    return {
        "hosts": list(hosts),
        "effect": {"app": {"servers": servers, "largest_shift_points": 25.0}},
        "checks": [
            check("The balancer's own check accepts the bytes"),
            check("Route test api goes to app"),
            *checks,
        ],
        "seconds": 21.0,
    }


def history(final, points=8):
    """Shares that settle from far off to what was seen in the end."""
    total = sum(final.values())
    rows = []
    for number in range(1, points + 1):
        drift = 0.12 / number
        shares = {
            name: count / total + (drift if position % 2 else -drift)
            for position, (name, count) in enumerate(final.items())
        }
        pools = {"app": {"requests": total * number // points, "servers": shares}}
        rows.append({"seconds": 5.0 * number, "pools": pools})
    return rows


def seen(host, role="canary", counts=EVEN, **more):
    answer = observed(counts, **more) | {"history": history(counts)}
    return result(host, role, answer=answer)


def confirmed(changes: Path) -> Sample:
    made = Sample(changes, title="Two more servers for app, and a route for /api")
    made.rendered(CONFIG, FOUR).rehearsed(bundles=[bundle(made.hosts, FOUR)])
    made.approved_without_signature("bob").planned(sizes=(1, 2))
    plan = load(made.folder)
    made.saw(1, seen("lb1"), seen("lb2", "control"), seen("lb3", "control"))
    made.closed(1, judge(made.folder, plan, 1))
    made.saw(2, seen("lb1", "carrier"), seen("lb2"), seen("lb3"))
    made.closed(2, judge(made.folder, plan, 2))
    answers = {host: {"confirm": {"status": "ok", "result": {}}} for host in made.hosts}
    return made.ended(outcome(plan, answers))


def caught_on_the_canary(changes: Path) -> Sample:
    made = Sample(changes, "2024-06-20-hash", title="Keep each client on one server")
    made.rendered(CONFIG.replace(b"roundrobin", b"source"), FOUR)
    made.rehearsed(bundles=[bundle(made.hosts, FOUR)]).approved_without_signature("bob")
    made.planned(sizes=(1, 2))
    plan = load(made.folder)
    one = {"web1": 0, "web2": 231, "web3": 0, "web4": 0}
    why = "server web2 of pool app has 100.0 % of requests, wanted 17.5 % to 32.5 %"
    bad = seen("lb1", counts=one, verdict="fail", reasons=[why], reverted=True)
    made.saw(1, bad, seen("lb2", "control"), seen("lb3", "control"))
    made.closed(1, judge(made.folder, plan, 1))
    went = {"status": "ok", "result": {"outcome": "reverted"}}
    stayed = {"status": "ok", "result": {"outcome": "untouched"}}
    answers = {"lb1": {"rollback": went}, "lb2": {"rollback": stayed}, "lb3": {"rollback": stayed}}
    return made.ended(outcome(plan, answers))


def stopped_in_staging(changes: Path) -> Sample:
    uneven = {"web1": (0.25, 0.961), "web2": (0.25, 0.013)}
    uneven |= {"web3": (0.25, 0.013), "web4": (0.25, 0.013)}
    made = Sample(changes, "2024-06-20-weights", title="Routine: align the weights")
    why = "server web1 of pool app has 96.1 % of requests, fair is 25.0 % (25.0 % → 96.1 %)"
    broken = check("Shares of pool app are within the guardrails", "fail", why)
    made.rendered(CONFIG, uneven)
    return made.rehearsed("fail", bundles=[bundle(made.hosts, uneven, broken)])
