"""The intent of a balancer: its model, rules and guardrails.

intent = parse_intent(data, where="lb1")   # model.py, rules.py: raises Problems, all at once
data = normalise(intent)                   # JSON data, every default filled in
shares(pool), fair_shares(pool)            # share_forecast.py: expected and fair shares
intent_findings(data), shift_findings(...) # guardrails.py: what breaks a guardrail
"""

from evenkeel.intent.guardrails import intent_findings, shift_findings
from evenkeel.intent.handwritten_defaults import completed
from evenkeel.intent.model import Intent
from evenkeel.intent.parse import normalise, parse_intent
from evenkeel.intent.share_forecast import fair_shares, shares

__all__ = [
    "Intent",
    "completed",
    "fair_shares",
    "intent_findings",
    "normalise",
    "parse_intent",
    "shares",
    "shift_findings",
]
