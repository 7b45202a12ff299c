"""One host of the lab that the suite hurts: the program on it, releases for it, looks at it.

Release number n has one server, web1 to web5 in turn, so a single answer tells which release
serves; and no two numbers have equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evenkeel.balancer.dialect import load_dialect
from evenkeel.change.bundle import render_files
from evenkeel.change.printer import Printer
from evenkeel.host.state.archive import pack, release_digest
from evenkeel.host.system.sha256 import canonical
from evenkeel.intent import normalise, parse_intent
from evenkeel.remote import PROGRAM, OptionValue, arguments
from evenkeel_proof.fault_injection.tally import Stranded, demand
from evenkeel_proof.lab import guests
from evenkeel_proof.lab.running import Fleet, served_by

INJECT = "/root/evenkeel-inject.py"
# Runs commands one after the other, each with its own standard input: going into a container
# takes longer than most of what is done there.
_BATCH = """
import base64, json, subprocess, sys
done = []
for words, data in json.load(sys.stdin):
    ran = subprocess.run(words, input=base64.b64decode(data), capture_output=True, timeout=200)
    done.append([ran.returncode, ran.stdout.decode(errors="replace")])
print(json.dumps(done))
"""
KILLED = 137
WAIT_SECONDS = 60.0
LEASE_SECONDS = "120"
# Numbers of releases repeat after so many: 5 servers with 250 weights each.
RELEASES = 1250


@dataclass(frozen=True)
class Release:
    """The files of a release, their content address, and the server that only it sends to."""

    digest: str
    files: Mapping[str, bytes]
    server: str = ""

    def archive(self, change: str) -> bytes:
        """Give what `prepare` reads."""
        facts = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "mode": "0640"}
            for name, data in self.files.items()
        }
        manifest = {
            "change_id": change,
            "digest": "0" * 64,
            "release": self.digest,
            "files": facts,
        }
        return pack(canonical(manifest), dict(self.files))


class FaultHost:
    """A balancer of the lab, with the on-host program installed."""

    def __init__(self, fleet: Fleet, name: str, kind: str) -> None:
        self.fleet, self.name, self.kind = fleet, name, kind
        self.role = fleet.root / "roles" / f"balancer_{kind}"
        self.store = f"/var/lib/evenkeel/{kind}"
        dialect = load_dialect(self.role)
        self._dialect, self._printer = dialect, Printer(dialect)
        self._number = 0
        # What was confirmed last, as far as the suite knows.
        self.base: Release | None = None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the program says of itself."""
        return self.must("facts")

    @property
    def address(self) -> str:
        """Where the host serves."""
        return self.fleet.hosts[self.name]

    # Commands.

    def shell(self, script: str, *words: str, stdin: bytes = b"") -> str:
        """Run a shell script as root on the host and give its output; its code is not judged."""
        done = self.fleet.exec(self.name, ["sh", "-c", script, "sh", *words], stdin=stdin)
        return done.stdout.decode(errors="replace")

    def write(self, path: str, data: bytes) -> None:
        """Put a file on the host, readable by root alone."""
        self.shell('umask 077; mkdir -p "${1%/*}" && cat > "$1"', path, stdin=data)

    def words(self, *words: str) -> list[str]:
        """Give the command that runs a verb as root on the host."""
        return [PROGRAM, "--balancer", self.kind, *words]

    def program(self, *words: str, stdin: bytes = b"") -> tuple[int, dict[str, Any]]:
        """Run a verb; give its exit code and its answer."""
        return _read(self.fleet.exec(self.name, self.words(*words), stdin=stdin, timeout=200))

    def must(self, *words: str, stdin: bytes = b"") -> dict[str, Any]:
        """Run a verb that must succeed, and give its answer. Raises Stranded."""
        code, answer = self.program(*words, stdin=stdin)
        demand(code == 0, f"{words[0]} ended with {code}: {json.dumps(answer.get('error'))}")
        return answer

    def batch(self, *commands: tuple[Sequence[str], bytes]) -> list[tuple[int, Any]]:
        """Run commands, each with its standard input, one after the other; give how each ended.

        Its exit code, and its output: as JSON when it is that.
        """
        asked = [(list(words), base64.b64encode(data).decode()) for words, data in commands]
        script = ["python3", "-c", _BATCH]
        done = self.fleet.exec(self.name, script, stdin=json.dumps(asked).encode(), timeout=400)
        try:
            return [(code, _json(text)) for code, text in json.loads(done.stdout)]
        except ValueError:
            said = done.stderr.decode(errors="replace")[-300:]
            raise Stranded(f"the host ran no commands: {said}") from None

    def inject(
        self, orders: Mapping[str, Any], *words: str, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a verb under orders of inject.py."""
        command = ["python3", INJECT, json.dumps(dict(orders)), "--balancer", self.kind, *words]
        return self.fleet.exec(self.name, command, stdin=stdin, timeout=200)

    def injected(self, orders: Mapping[str, Any], *words: str) -> tuple[int, dict[str, Any]]:
        """Run a verb under orders that do not kill it; give its exit code and its answer."""
        return _read(self.inject(orders, *words))

    def over_ssh(self, verb: str, options: Mapping[str, OptionValue]) -> list[str]:
        """Give the words of a command that runs a verb as a controller does."""
        return [*self.fleet.ssh(self.name), *arguments(self.kind, verb, options)]

    # Releases and changes.

    def install(self) -> None:
        """Bring what the suite itself needs on the host."""
        self.write(INJECT, Path(__file__).with_name("inject.py").read_bytes())

    def render(self, intent: Mapping[str, Any], server: str = "") -> Release:
        """Render an intent with the balancer's own role."""
        files = render_files(normalise(parse_intent(dict(intent))), 0, self._dialect, self._printer)
        return Release(release_digest(files), files, server)

    def new_release(
        self, *binds: Mapping[str, Any], besides: tuple[str, ...] = (), tcp_port: int = 0
    ) -> Release:
        """Give the next release; it also listens at `binds`, and sends to none of `besides`.

        At `tcp_port` it takes connections of any kind to its server.
        """
        used = {*besides, self.base.server if self.base else ""}
        while (server := f"web{1 + (self._number + 1) % 5}") in used:
            self._number += 1
        self._number = (self._number + 1) % RELEASES
        weight = 1 + self._number // 5
        intent = one_server(self.fleet.web, server, weight, binds)
        if tcp_port:
            tcp = {"name": "any", "mode": "tcp", "binds": [{"port": tcp_port}]}
            intent["listeners"].append({**tcp, "default_pool": "any"})
            intent["pools"].append({**intent["pools"][0], "name": "any", "mode": "tcp"})
        return self.render(intent, server)

    def new_change(self) -> str:
        """Give a change id that was not used before."""
        self._changes = getattr(self, "_changes", 0) + 1
        return f"fault-{self._changes}"

    def prepare(self, change: str, release: Release) -> None:
        """Prepare a release that must be accepted."""
        words = ("prepare", "--change", change, "--release", release.digest)
        self.must(*words, stdin=release.archive(change))

    def activate_words(
        self, change: str, release: Release, lease_seconds: str = LEASE_SECONDS
    ) -> tuple[str, ...]:
        """Give the words that activate a prepared release."""
        words = ("activate", "--change", change, "--release", release.digest)
        return (*words, "--lease-seconds", lease_seconds)

    def activate(self, release: Release, lease_seconds: str = LEASE_SECONDS) -> str:
        """Prepare and activate a release, both of which must succeed; give the change."""
        change = self.new_change()
        self.prepare(change, release)
        self.must(*self.activate_words(change, release, lease_seconds))
        return change

    def deploy(self, release: Release) -> str:
        """Take a release all the way to its confirmation; give the change."""
        change = self.new_change()
        prepare = ("prepare", "--change", change, "--release", release.digest)
        done = self.batch(
            (self.words(*prepare), release.archive(change)),
            (self.words(*self.activate_words(change, release)), b""),
            (self.words("confirm", "--change", change), b""),
        )
        for verb, (code, answer) in zip(("prepare", "activate", "confirm"), done, strict=True):
            demand(code == 0, f"{verb} ended with {code}: {json.dumps(answer)[:500]}")
        self.base = release
        return change

    def ready(self) -> Release:
        """Make the host one with a confirmed release of the suite, and give that."""
        if self.base is None:
            self.deploy(self.new_release())
        assert self.base is not None  # noqa: S101 - for the type checker
        return self.base

    def forget(self) -> Release:
        """Make it a host that nobody took over, configured by hand; give what it runs then."""
        natives, unit = self.facts["native_paths"], self.facts["unit"]
        by_hand = guests.by_hand(self.fleet.web).encode()
        files = dict.fromkeys(natives, by_hand)
        clear = "systemctl stop 'evenkeel-expire-*.timer'; rm -rf \"$1\""
        write = 'rm -f "$1" && cat > "$1" && chmod 644 "$1"'
        start = 'systemctl reset-failed; systemctl restart "$1"'
        self.batch(
            (["sh", "-c", clear, "sh", self.store], b""),
            *((["sh", "-c", write, "sh", natives[name]], files[name]) for name in files),
            (["sh", "-c", start, "sh", unit], b""),
        )
        self.base = None
        self.wait_for(self.served, "the balancer answers after its restart")
        return Release(release_digest(files), files)

    # Looks.

    def status(self) -> dict[str, Any]:
        """Give the program's status with the live bytes."""
        return self.must("status", "--files")

    def journal(self) -> dict[str, Any]:
        """Read the journal as it is on disk; no verb runs, so nothing overdue is finished by it."""
        text = self.shell('cat "$1"', f"{self.store}/journal")
        value: dict[str, Any] = json.loads(text) if text else {}
        return value

    def served(self) -> str:
        """Ask the balancer once; give the server that answered, or "" when nobody did."""
        return served_by(self.address)

    def wait_for(
        self, happened: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS
    ) -> Any:
        """Look until `happened` gives something true, and give it. Raises Stranded."""
        until = time.monotonic() + seconds
        while not (value := happened()):
            if time.monotonic() > until:
                raise Stranded(f"did not happen within {seconds:.0f} s: {what}")
            time.sleep(0.05)
        return value


def one_server(
    web: Mapping[str, str], server: str, weight: int, binds: tuple[Mapping[str, Any], ...] = ()
) -> dict[str, Any]:
    """Give the intent of a release with one server; its weight makes its bytes its own."""
    return {
        "listeners": [
            {
                "name": "www",
                "binds": [{"port": 80}, *binds],
                "default_pool": "web",
            }
        ],
        "pools": [
            {
                "name": "web",
                "check": {"kind": "none"},
                "servers": [{"name": server, "address": web[server], "port": 80, "weight": weight}],
            }
        ],
    }


def live_files(status: Mapping[str, Any]) -> dict[str, bytes]:
    """Give the bytes in an answer of `status --files`."""
    return {
        name: base64.b64decode(file["content_base64"]) for name, file in status["files"].items()
    }


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(done: subprocess.CompletedProcess[bytes]) -> tuple[int, dict[str, Any]]:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode(errors="replace")[-300:]
        raise Stranded(f"the program gave no answer, code {done.returncode}: {said}") from None
    return done.returncode, answer
