"""Evenkeel: a change pipeline for load balancers.

The package has floors (docs/decisions/0001-the-floors.md): an import points down, never up, never
in a circle.
"""

__version__ = "0.1.0"
