"""Turns an intent into the lines of HAProxy's configuration. Runs on the controller."""
