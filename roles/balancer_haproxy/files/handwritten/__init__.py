"""Reads a configuration that an operator wrote by hand. Runs on the controller."""
