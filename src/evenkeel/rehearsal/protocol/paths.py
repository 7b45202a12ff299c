"""Paths in the staging container, for both sides."""

from __future__ import annotations

FOLDER = "/var/lib/evenkeel-rehearsal"
HOST_PROGRAM = "/usr/local/sbin/evenkeel-host"
PROGRAM = "/usr/local/lib/evenkeel/rehearsal.pyz"
STUB_SOCKET = "/run/evenkeel-stub.sock"
STUB_CERTIFICATE = f"{FOLDER}/stub.pem"
BASE_FILE = f"{FOLDER}/base.json"
MEASURED_FILE = f"{FOLDER}/measured.json"
RELOADS_FILE = f"{FOLDER}/reloads.json"
