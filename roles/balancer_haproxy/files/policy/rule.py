"""The rule book of this role: each module of rules enters its functions here."""

from __future__ import annotations

from evenkeel.balancer.rules import LOST, STOP, TELL, Hit, RuleBook

from ..config.parser import Configuration
from .renames import server_before

__all__ = ["BOOK", "LOST", "STOP", "TELL", "Hit", "comparison", "rule"]

BOOK: RuleBook[Configuration] = RuleBook(server_before)
rule = BOOK.rule
comparison = BOOK.comparison
