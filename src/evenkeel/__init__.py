"""Evenkeel: a change pipeline for load balancers.

The package stands on floors (docs/pipeline.md): an import points down, never up, never in a circle.
"""

__version__ = "0.1.0"
