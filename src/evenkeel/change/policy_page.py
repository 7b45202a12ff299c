"""The page of policy rules for people: `python -m evenkeel.change.policy_page` rewrites it.

It is made from the rules themselves, those about intents and those of each balancer's role, so it
cannot say something else; a test holds it up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evenkeel.balancer.dialect import load_dialect
from evenkeel.intent import policy_rules

PAGE_FILE = Path("docs/reference/policy.md")
_GRADES = {
    "stop": "stops",
    "lost": "stops where it was otherwise before, tells in what is new",
    "tell": "tells",
}
_HEAD = """\
# Policy rules

Made from the rules by `python -m evenkeel.change.policy_page`; do not edit.

Some problems show in no rehearsal: a check that is missing does no harm until a server dies. Policy rules look for them
when a change is rendered, in the intent and in the exact files that the balancer gets, so that a template of your own,
lines under `extra` and a configuration by hand are judged as well. No container is started.

- A rule that **stops** refuses the change at `render`, with exit code 10, the rule's id, the line, the reason and the
  next step. Nothing is written. `validate` judges the files once more, and each rule that found something is a check of
  its own in `staging.json`.
- A rule that **tells** stops nothing. What it found stands in the output of `render`, in `policy.json`, in
  `report.html` and before the eyes of whoever approves.
- What is **live already** is told and never stops, so that a fleet can be taken over with the problems that it has. What
  is true of every server of a pool is one finding of the pool: one server more in it is nothing new.
- A rule that finds words which it cannot read is told as one that **could not be applied**. The balancer's own check
  decides about such words; if it accepts them, report the rule.

## Waiving a rule

A change waives a finding by its rule and subject, exactly as the refusal names them, with a reason and, if you like,
the last day on which it holds:

    # waivers.yml, for: ansible-playbook playbooks/render.yml -e change=new-pool -e @waivers.yml
    waivers:
      - rule: no-check
        subject: pool legacy
        reason: its servers have no port that answers; they are replaced in May
        until: "2026-05-31"

The variable may stand in the inventory too. Waivers lie in the manifest: the digest binds them, and the approver sees
each with its reason. Another waiver is another change. One without a finding is told, so that it can go.

What [`asked`](rehearsal.md#what-users-ask-for-asked) finds is waived in the same way, with the rule `asked`. The subject
is a method, a method and a host, or those and a path with everything below it: `POST`, `POST shop.example` or
`POST shop.example/cart`.

## Intended shifts

The guardrail `largest_shift_points` keeps shares from moving far in one change, `largest_fair_ratio` and
`least_fair_ratio` keep them near the fair ones. A shift that is wanted is declared:

    intended_shifts:
      - {pool: shop, server: web1, to_percent: 50, reason: twice the hardware since Monday}
      - {pool: shop, server: web2, points: 30, reason: makes room for web1}

`points` is how far the share may move, `to_percent` where it may arrive; give one of them. Exactly these servers may
move, and no further: the checks `shift:` and `spread:` of the rehearsal take two points for luck. Declared shifts are
bound and shown as waivers are.
"""


def text(root: Path = Path()) -> str:
    """Give the page; `root` is the checkout that holds `roles/`."""
    parts = [_HEAD, "## Rules about the intent\n\n" + "\n".join(_rules(policy_rules.catalogue()))]
    for role in sorted((root / "roles").glob("balancer_*")):
        dialect = load_dialect(role)
        parts.append(f"## Rules about {dialect.kind}\n\n" + "\n".join(_rules(dialect.catalogue())))
    return "\n".join(parts)


def _rules(rules: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for rule in rules:
        yield f"### `{rule['rule']}`\n"
        yield f"{rule['title']}. It {_GRADES[rule['severity']]}.\n"
        yield f"- Looks for: {rule['looks_for']}"
        yield f"- Why: {rule['reason']}."
        yield f"- What to do: {rule['next_step']}.\n"


if __name__ == "__main__":
    PAGE_FILE.write_text(text(), encoding="utf-8")
