"""Decides what the rehearsal does, before a container starts."""
